"""The benchmark measures what it says: every step of every task once, on both engines, and leaves nothing behind."""

from __future__ import annotations

import json

import asyncpg
import pytest

from tasker.bench import cli, saturated
from tasker.bench.costs import read_costs
from tasker.bench.engine import ENGINES
from tasker.bench.shapes import FAN_WIDTH, SHAPES
from tasker.model.errors import SettingsError
from tasker.store.connection import connect


def test_the_shapes_are_those_of_the_manual() -> None:
    """A chain and a diamond of 4, a tree of 8, a mixed graph of 7, one to many to one, and a step alone."""
    counts = {name: len(shape.steps) for name, shape in SHAPES.items()}
    assert counts == {"chain": 4, "diamond": 4, "tree": 8, "mixed": 7, "fan": FAN_WIDTH + 2, "single": 1}
    for shape in SHAPES.values():
        assert all(parent in shape.steps for parents in shape.steps.values() for parent in parents)


@pytest.mark.parametrize("engine", list(ENGINES))
@pytest.mark.parametrize("shape", ["diamond", "fan", "single"])
async def test_a_task_alone_runs_each_of_its_steps_once(engine: str, shape: str, empty_database: str) -> None:
    """When an engine says that a task is complete, each step has run once, in an order that the graph allows."""
    await ENGINES[engine].create(empty_database, SHAPES[shape])
    async with ENGINES[engine].alone(empty_database, SHAPES[shape]) as run:
        assert await run(saturated.context(7)) > 0
    schema = ENGINES[engine].SCHEMA
    connection = await asyncpg.connect(empty_database)
    try:
        steps = await connection.fetch(f"select number, attempt, result from {schema}.steps order by number")
    finally:
        await connection.close()
    assert [step["attempt"] for step in steps] == [1] * len(SHAPES[shape].steps)
    assert json.loads(steps[0]["result"]) == {"total": 7}
    assert all(json.loads(step["result"]).keys() == {"parents"} for step in steps[1:])


async def test_log_counts_before_the_server_has_written_it(empty_database: str) -> None:
    """Where commits do not wait for the disk, what was logged a moment ago is a cost all the same."""
    connection = await connect(empty_database, pinned=False)
    try:
        for n in range(5):
            before = await read_costs(connection)
            await connection.execute(f"create table public.t{n} ()")
            assert (await read_costs(connection) - before).wal_bytes > 0
    finally:
        await connection.close()


@pytest.mark.slow
def test_the_last_line_is_one_json_object_with_every_figure(
    empty_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Programs read the figures from the last line; nothing stays in the database."""
    assert cli.run("diamond", json=True, database_url=empty_database, seconds=0.2, rounds=1, processes=1) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["shape"] == "diamond"
    assert figures["steps"] == figures["tasks"] * 4 > 0
    assert figures["latency_ms"].keys() == {"p50", "p95", "p99"}
    for name in ("steps_per_second", "submit_per_second", "ratio_to_bare"):
        assert figures[name] > 0
    for name in ("statements_per_step", "commits_per_step", "wal_bytes_per_step"):
        assert figures[name] > 0
        assert figures["alone"][name] > 0
    assert figures["bare"]["steps_per_second"] > 0
    assert figures["bare"]["chain_p50_ms"] > 0


def test_an_unknown_shape_is_refused_with_those_there_are() -> None:
    """A slip of the fingers starts no server."""
    with pytest.raises(SettingsError, match='no shape "circle" to measure: choose one of chain, diamond'):
        cli.run("circle")
