"""Each of the sixteen broken engines is found out by its gate, and no gate accuses the sound one."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from support.engine import Engine
from support.mutants import Story, symptoms

from chaos.mutants import MUTANTS, Broken
from tasker import Tasker
from tasker.embedded import start_private
from tasker.settings import Settings
from tasker.store import connection
from tasker.templates import load_text

pytestmark = pytest.mark.unchecked
GATES: dict[str, Story] = {one.gate.__name__: one.gate for one in MUTANTS.values()}
LATE_WRITER = {"wal_writer_delay": "10s", "recovery_init_sync_method": "syncfs"}
TEXT = "tasker: 1\nnamespace_name: chaos\nname: one\nversion: 1.0.0\nsteps: [{name: a, handler: a}]\n"


@pytest.mark.parametrize("gate", GATES)
async def test_no_gate_accuses_the_sound_engine(engine: Engine, gate: str) -> None:
    """Each story ends well, and the checker finds nothing after it."""
    assert await symptoms(engine, GATES[gate]) == []


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=lambda one: one.name)
async def test_each_mutant_is_caught_at_its_gate(engine: Engine, mutant: Broken) -> None:
    """On the broken engine the story fails, or the checker finds something: without the gate's check, this fails."""
    mutant.break_engine(engine.dsn)
    found = await symptoms(engine, mutant.gate)
    assert found, f"nobody notices {mutant.name}, {mutant.title}"
    if mutant.invariant is None:
        assert any(line.startswith("story: ") for line in found), found
    else:
        assert any(line.startswith(f"{mutant.invariant}:") for line in found), found


async def _acknowledged_and_kept(folder: Path) -> bool:
    """Creates a task on a server that dies at once: whether what was acknowledged is there afterwards."""
    with start_private(folder, settings=LATE_WRITER) as server:
        async with Tasker(server.dsn, worker=False, settings=Settings()) as tasker:
            await tasker.publish(load_text(TEXT).template)
            with psycopg.connect(server.dsn, autocommit=True) as looking:
                looking.execute("checkpoint")
            task = await tasker.submit("one", namespace="chaos")
            server.crash()
        server.restart()
        with psycopg.connect(server.dsn) as looking:
            query = "select count(*) from tasker_engine.tasks where task_id = %s"
            return looking.execute(query, [task.task_uuid]).fetchone() == (1,)


@pytest.mark.slow
@pytest.mark.parametrize("is_broken", [False, True], ids=["sound", "M16"])
async def test_what_was_acknowledged_survives_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_broken: bool
) -> None:
    """A task whose creation was answered is there after the server was killed in the same moment; M16, an engine whose
    connections do not wait for the log, loses it."""
    if is_broken:
        monkeypatch.setitem(connection._SESSION, "synchronous_commit", "off")
    is_kept = await _acknowledged_and_kept(tmp_path / "server")
    assert is_kept is not is_broken


def test_there_are_sixteen() -> None:
    """M1 to M15 are texts of functions; M16 is a setting."""
    assert list(MUTANTS) == [f"M{number}" for number in range(1, 16)]
