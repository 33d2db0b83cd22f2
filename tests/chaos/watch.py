"""The watch: fails when work stands still, and says why; on its way it notes results, which may never change."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import suppress
from typing import Any

import psycopg

from chaos.scene import LEASE_S, Scene

STALL_S = 3 * LEASE_S + 30
"""Three leases, and what a loaded machine may take beside."""
_LOOK_S, _SAMPLE_S = 0.5, 1.0
_PROGRESS = """select (select count(*) from tasker_engine.tasks where state not in ('complete', 'error', 'cancelled')),
                 (select count(*) from tasker_engine.tasks), (select count(*) from tasker_engine.grants),
                 (select count(*) from tasker_engine.ready)"""
_SAMPLE = """select task_id::text, number, md5(result::text) from tasker_engine.steps tablesample system (10)
             where state = 'complete' limit 500"""
_MOVES = "select count(*) from tasker_engine.transitions"
_DUMP = {
    "steps of tasks that are open": """
        select s.state::text, s.waiting, s.is_suspect, s.attempt, s.tries, count(*), min(s.task_id::text)
        from tasker_engine.steps s join tasker_engine.tasks t using (task_id)
        where t.state not in ('complete', 'error', 'cancelled') group by 1, 2, 3, 4, 5 order by 6 desc limit 20""",
    "what happened to one of them": """
        select number, seq, from_state::text, to_state::text, attempt, session_id, at, detail
        from tasker_engine.transitions
        where task_id = (select task_id from tasker_engine.tasks where state not in ('complete', 'error', 'cancelled')
                         order by task_id limit 1) order by at, number, seq limit 60""",
    "sessions": """select session_id, pid, end_reason, is_loss, clock_timestamp() - beat_at from tasker_engine.sessions
                   order by session_id desc limit 20""",
    "lanes": """select r.lane, max(b.bound), count(*), min(r.seq), max(r.seq) from tasker_engine.ready r
                left join tasker_engine.bounds b using (lane) group by 1 limit 20""",
    "due": "select count(*), min(due_at) - clock_timestamp() from tasker_engine.due",
    "sweeps": "select clock_timestamp() - swept_at, seq_seen from tasker_engine.sweeps",
    "activity": """select pid, state, wait_event, now() - query_start, left(query, 120) from pg_stat_activity
                   where datname = current_database()""",
    "locks": """select pid, locktype, mode, granted, relation::regclass from pg_locks
                where not granted or locktype in ('advisory', 'tuple') limit 40""",
}


class Stuck(AssertionError):
    """Work stood still; the message has all that is known of why."""


class Watch:
    """Looks on until it is told to stop."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.samples: dict[tuple[str, int], str] = {}
        self.sampling = asyncio.create_task(self._sample())

    async def all_ended(self, *, within_s: float) -> float:
        """Returns when no task is open, and the sweep has judged every failure; how many seconds it took."""
        began = moved_at = time.monotonic()
        seen: Any = None
        while True:
            now = time.monotonic()
            with suppress(psycopg.OperationalError):
                progress = await asyncio.to_thread(self._look)
                if progress[0] == 0:
                    return now - began
                if progress != seen:
                    seen, moved_at = progress, now
            if now - moved_at > STALL_S or now - began > within_s:
                what = "stood still" if now - moved_at > STALL_S else f"did not end within {within_s:.0f} s"
                raise Stuck(f"work {what}; open, all, grants, ready, moves: {seen}\n{await self.dump()}")
            await asyncio.sleep(_LOOK_S)

    async def _sample(self) -> None:
        """Notes some results, now and then, as long as it lives."""
        while True:
            with suppress(psycopg.Error):
                for task, number, digest in await asyncio.to_thread(self._scene.ask, _SAMPLE):
                    self.samples.setdefault((task, number), digest)
            await asyncio.sleep(_SAMPLE_S)

    def _look(self) -> tuple[int, ...]:
        with psycopg.connect(self._scene.dsn, autocommit=True, connect_timeout=5) as connection:
            [(open_tasks, *rest)] = connection.execute(_PROGRESS).fetchall()
            [(left,)] = connection.execute(
                "select (select count(*) from tasker_engine.failures) + (select count(*) from tasker_engine.messages)"
            ).fetchall()
            [(moves,)] = connection.execute(_MOVES).fetchall()
            return (open_tasks + left, *rest, moves)

    async def dump(self) -> str:
        """Everything that may say why: steps, histories, sessions, the server's activity and locks, Python's stacks."""
        said: list[str] = []
        for title, query in _DUMP.items():
            try:
                rows = await asyncio.to_thread(self._scene.ask, query)
            except psycopg.Error as error:
                rows = [(str(error),)]
            said += [f"-- {title}", *(str(row) for row in rows)]
        for process in self._scene.of("worker"):
            process.signal(signal.SIGUSR1)
        await asyncio.sleep(0.5)
        for name in ("stacks", "log"):
            file = self._scene.folder / name
            text = file.read_text(errors="replace")[-6000:] if file.exists() else ""
            said += [f"-- {name}", text]
        return "\n".join(said)
