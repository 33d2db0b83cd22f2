"""What peers need beside their own processes: one PostgreSQL for all, RabbitMQ and Redis where they are installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tasker.embedded import start_private
from tasker.embedded.server import PrivateServer
from tasker.model.errors import TaskerError

_SETTINGS = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_connections": "300"}
_COUNTING = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "top"}
_DEBIAN_RABBIT = "/usr/lib/rabbitmq/bin/rabbitmq-server"
_START_S = 120.0
_LOOK_S = 0.1


@dataclass(slots=True)
class Servers:
    """What runs. `urls` has RabbitMQ's and Redis's address where they are; `roots` their process ids."""

    postgres: PrivateServer
    counts_statements: bool
    urls: dict[str, str] = field(default_factory=dict[str, str])
    roots: set[int] = field(default_factory=set[int])


@contextmanager
def running(wanted: set[str], folder: Path) -> Generator[Servers]:
    """Starts PostgreSQL and those that are wanted and installed; ends them and removes their data."""
    counts = _find_counting_postgres()
    started: list[subprocess.Popen[bytes]] = []
    with start_private(folder / "postgres", settings=_SETTINGS | (_COUNTING if counts else {})) as postgres:
        servers = Servers(postgres, counts)
        try:
            for name, start in (("rabbitmq", _start_rabbitmq), ("redis", _start_redis)):
                if name in wanted and (made := start(folder)) is not None:
                    url, processes = made
                    started.extend(processes)
                    servers.urls[name] = url
                    servers.roots |= {process.pid for process in processes}
            yield servers
        finally:
            for process in reversed(started):
                _end(process)


def _find_counting_postgres() -> bool:
    """Chooses an installed PostgreSQL that can count statements, unless one is named. Whether the chosen one can."""
    named = os.environ.get("TASKER_POSTGRES_BIN")
    places = [Path(named)] if named else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place.parent / "lib" / "pg_stat_statements.so").exists():
            os.environ["TASKER_POSTGRES_BIN"] = str(place)
            return True
    return False


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _start_rabbitmq(folder: Path) -> tuple[str, list[subprocess.Popen[bytes]]] | None:
    if not Path(_DEBIAN_RABBIT).exists():
        return None
    home = Path(tempfile.mkdtemp(prefix="rabbit-", dir=folder))
    port, names_port, between = free_port(), free_port(), free_port()
    conf = f"listeners.tcp.1 = 127.0.0.1:{port}\ndisk_free_limit.absolute = 1MB\nlog.console = false\n"
    (home / "rabbitmq.conf").write_text(conf)
    (home / "enabled_plugins").write_text("[].\n")
    environment = {
        **os.environ,
        "HOME": str(home),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names_port),
        "RABBITMQ_NODENAME": f"peers{os.getpid()}@localhost",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(between),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_PID_FILE": str(home / "pid"),
        "RABBITMQ_CONF_ENV_FILE": str(home / "no-env.conf"),
    }
    names = _launch(["epmd", "-port", str(names_port), "-address", "127.0.0.1"], home, environment)
    server = _launch([_DEBIAN_RABBIT], home, environment)
    _until_answers(server, port, b"AMQP\x00\x00\x09\x01", home)
    return f"amqp://guest:guest@127.0.0.1:{port}//", [names, server]


def _start_redis(folder: Path) -> tuple[str, list[subprocess.Popen[bytes]]] | None:
    """With a log that is written to the disk at each change, so that it keeps what it has accepted."""
    found = shutil.which("redis-server")
    if found is None:
        return None
    home = Path(tempfile.mkdtemp(prefix="redis-", dir=folder))
    port = free_port()
    options = f"--bind 127.0.0.1 --port {port} --appendonly yes --appendfsync always --save".split()
    server = _launch([found, *options, "", "--dir", str(home)], home, dict(os.environ))
    _until_answers(server, port, b"PING\r\n", home)
    return f"redis://127.0.0.1:{port}/0", [server]


def _launch(command: list[str], home: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with (home / "said").open("ab") as said:
        return subprocess.Popen(  # noqa: S603 - our own arguments
            command, env=environment, cwd=home, stdout=said, stderr=said, start_new_session=True
        )


def _until_answers(server: subprocess.Popen[bytes], port: int, question: bytes, home: Path) -> None:
    deadline = time.monotonic() + _START_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(question)
                if connection.recv(1):
                    return
        except OSError:
            time.sleep(_LOOK_S)
    said = (home / "said").read_text(errors="replace")[-1000:]
    raise TaskerError(f"{server.args} does not answer on port {port}:\n{said}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process and its children: they are a group of their own."""
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        return
    process.wait()
