"""A row in which the disk is full: C14. It needs to mount a small file system, which root may."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from chaos import workload
from chaos.nemesis import Nemesis
from chaos.run import RowOf, Run

BACK_WITHIN_S = 30.0
_SIZE, _CHUNK_BYTES = "192m", 1 << 20


@contextmanager
def small_disk(run: Run) -> Iterator[Path | None]:
    """A small file system with a tablespace on it, of the same name as the row; None where this machine allows none."""
    folder = run.stage.folder / f"{run.report.row.lower()}-disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", folder], check=False)
    if mounted.returncode:
        yield None
        return
    try:
        with psycopg.connect(run.stage.server.dsn, autocommit=True) as connection:
            [(pid,)] = connection.execute("select pg_backend_pid()").fetchall()
            home = folder / "tablespace"
            home.mkdir()
            owner = os.stat(f"/proc/{pid}")
            os.chown(home, owner.st_uid, owner.st_gid)
            connection.execute(f"create tablespace {run.report.row.lower()} location '{home}'")  # type: ignore[arg-type]
        yield folder
    finally:
        with psycopg.connect(run.stage.server.dsn, autocommit=True) as connection:
            query = "select datname from pg_database where dattablespace ="
            query += " (select oid from pg_tablespace where spcname = %s)"
            for (name,) in connection.execute(query, [run.report.row.lower()]).fetchall():  # type: ignore[arg-type]
                connection.execute(f'drop database "{name}" with (force)')
            connection.execute(f"drop tablespace if exists {run.report.row.lower()}")  # type: ignore[arg-type]
        subprocess.run(["umount", folder], check=False)


def _fill(ballast: Path) -> None:
    try:
        with ballast.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(_CHUNK_BYTES))
    except OSError:
        return


async def _disk_full(run: Run) -> None:
    """C14: the disk that the tables lie on is full for a while, again and again."""
    times, tasks = run.sized(6, 1), run.sized(500, 100)
    full_s = 8.0 if run.scale >= 0.5 else 4.0
    with small_disk(run) as disk:
        if disk is None:
            run.report.counts["not run"] = "this machine mounts nothing for us"  # containers may not, in CI either
            return
        ballast, freed_at = disk / "ballast", 0.0
        async with run.scene([workload.chain("chain", 4)], tablespace=run.report.row.lower()) as scene:
            scene.serve()
            for _ in range(2):
                scene.worker()
            await scene.is_ready(2)
            scene.keep_up()
            nemesis = Nemesis(scene, run.chance)

            async def fill() -> bool:
                nonlocal freed_at
                until = time.monotonic() + full_s
                while time.monotonic() < until:
                    await asyncio.to_thread(_fill, ballast)
                    await asyncio.sleep(0.2)
                ballast.unlink()
                freed_at = time.monotonic()
                return True

            feeding = asyncio.create_task(run.feed(scene, tasks, times * (full_s + 2), texts=["x" * 3_000]))
            await nemesis.strike({"disk full": fill}, times, every_s=(1, 2))
            await feeding
            await run.ends(scene, nemesis)
            back_s = next(at for at in scene.client.told_at if at >= freed_at) - freed_at
            run.report.counts["back_after_s"] = round(back_s, 2)
            if back_s > BACK_WITHIN_S:
                run.report.late.append(f"the first was told {back_s:.1f} s after there was room again")


ROWS = [RowOf("C14", "the disk of the tables is full", _disk_full, least_s=26, full_s=92)]
