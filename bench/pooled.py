"""What a pooler costs: `python bench/pooled.py [--processes 2] [--pgbouncer /usr/sbin/pgbouncer]`.

The same work, straight on the database and through a PgBouncer in transaction mode, in turn: chains of four steps in
steps per second, and the hand-off of a step from one process to another. It starts both; needs an idle machine.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import uvloop
from script import print_table
from transports import measure

from tasker.embedded import start_private
from tasker.embedded.account import current_account, is_root, owner_account
from tasker.store.connection import connect


@contextmanager
def pooler(program: str, dsn: str) -> Generator[int]:
    """A PgBouncer in front of the server; its port."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(dsn).query).items()}
    account = owner_account(Path(query["host"]).resolve()) if is_root() else current_account()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pooler.ini"
        file.write_text(
            f"[databases]\n* = host={query['host']} port={query['port']} user={urlsplit(dsn).username}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            "pool_mode = transaction\ndefault_pool_size = 20\nmax_client_conn = 200\n"
        )
        account.own(Path(folder))
        account.own(file)
        process = subprocess.Popen([program, str(file)], stderr=subprocess.DEVNULL, **account.options())  # noqa: S603
        try:
            yield port
        finally:
            process.terminate()
            process.wait()


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """All rounds; the figures of both ways."""
    rates: dict[str, list[float]] = {"straight": [], "pooled": []}
    waits: dict[str, list[float]] = {"straight": [], "pooled": []}
    with tempfile.TemporaryDirectory() as folder, start_private(Path(folder)) as server:
        parts = urlsplit(server.admin_dsn)
        with pooler(arguments.pgbouncer, server.admin_dsn) as port:
            for number in range(arguments.rounds):
                for way in rates:
                    name = f"bench_{way}_{number}"
                    admin = await connect(server.admin_dsn)
                    await admin.execute(f"create database {name}")
                    await admin.close()
                    dsn = urlunsplit(parts._replace(path=f"/{name}"))
                    if way == "pooled":
                        dsn = f"postgresql://{parts.username}@127.0.0.1:{port}/{name}"
                    rate, took = await measure(dsn, "direct", "", arguments.processes, arguments.tasks, arguments.pairs)
                    rates[way].append(rate)
                    waits[way] += took
    ratios = [pooled / straight for pooled, straight in zip(rates["pooled"], rates["straight"], strict=True)]
    found: dict[str, Any] = {
        way: {
            "steps_per_s": round(statistics.median(rates[way])),
            "p50_ms": round(statistics.median(waits[way]) * 1e3, 1),
        }
        for way in rates
    }
    found["pooled"]["ratio"] = round(statistics.median(ratios), 3)
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pgbouncer", default="/usr/sbin/pgbouncer")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="the figures as JSON, after the table")
    arguments = parser.parse_args()
    found = uvloop.run(run(arguments))
    columns = ("steps_per_s", "ratio", "p50_ms")
    print_table(
        [("way", *columns), *((way, *(str(said.get(one, "")) for one in columns)) for way, said in found.items())]
    )
    if arguments.json:
        print(json.dumps(found))


if __name__ == "__main__":
    sys.exit(main())
