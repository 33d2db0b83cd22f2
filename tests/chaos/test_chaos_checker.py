"""The harness itself: a small scene is sound, and whatever is planted into its evidence the checker finds."""

from __future__ import annotations

import asyncio
import copy
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from support.until import until

from chaos import workload
from chaos.checker import INVARIANTS, check, check_tables
from chaos.evidence import Evidence
from chaos.ledger import Entry
from chaos.report import Report
from chaos.run import Run
from chaos.scene import Stage
from tasker.embedded import PrivateServer, start_private

pytestmark = pytest.mark.slow
TASKS = 24
Plant = Callable[[Evidence], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateServer]:
    """A server of the module's own."""
    with start_private(tmp_path_factory.mktemp("chaos") / "server") as started:
        yield started


@pytest.fixture(scope="module")
def played(server: PrivateServer, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A scene in which a worker was killed, judged and over."""
    stage = Stage(tmp_path_factory.mktemp("stage"), server)
    run = Run(stage, Report("smoke", "the test's", 7, 1.0), 1.0, random.Random(7))
    try:
        asyncio.run(_play(run))
    finally:
        stage.close()
    return run


async def _play(run: Run) -> None:
    async with run.scene([*workload.random_templates(run.chance, 4), workload.chain("end", 2)]) as scene:
        scene.serve()
        for _ in range(2):
            scene.worker()
        await scene.is_ready(2)
        scene.keep_up()
        feeding = asyncio.create_task(run.feed(scene, TASKS, 2))
        await until(lambda: scene.ledger.count("start") > 10, "work is done")
        scene.of("worker")[0].signal(signal.SIGKILL)
        await feeding
        for n, ill in enumerate(("doomed", "broken")):
            await scene.client.create("end", {f"ill-{n}": {"n": n, ill: 2}})
        await run.ends(scene, None)


def test_a_sound_scene_is_sound(played: Run) -> None:
    """A killed worker, tasks that fail on purpose, two faces that are asked: the checker accuses nobody, and the run
    was not empty."""
    assert played.report.violations == []
    counts = played.report.counts
    assert counts["tasks"] == counts["complete"] + counts["meant_to_fail"] == TASKS + 2
    assert counts["deaths"] == {"worker": 1}
    assert counts["meant_to_fail"] >= 2
    assert counts["views"] > 0


def _first(seen: Evidence, moment: str) -> Entry:
    return next(one for one in seen.entries if one.moment == moment and one.number)


def _complete(seen: Evidence) -> Any:
    return next(row for row in seen.tables["steps"] if row["state"] == "complete" and row["total"] is not None)


def _moves_of(seen: Evidence, state: str) -> Any:
    return next(moves for key, moves in seen.history.items() if key[1] and any(m["to_state"] == state for m in moves))


def _lost(seen: Evidence) -> None:
    seen.told["ill-0"] = {"0199-lost"}


def _two_for_one_key(seen: Evidence) -> None:
    seen.told["ill-0"].add(next(iter(seen.told["ill-1"])))


def _not_ended(seen: Evidence) -> None:
    seen.tables["tasks"][0]["state"] = "steps_in_process"


def _wrong_end(seen: Evidence) -> None:
    next(row for row in seen.tables["tasks"] if row["state"] == "complete")["state"] = "error"


def _changed_result(seen: Evidence) -> None:
    step = _complete(seen)
    seen.samples[step["task_id"], step["number"]] = "another"


def _wrong_result(seen: Evidence) -> None:
    _complete(seen)["total"] += 1


def _stale_result(seen: Evidence) -> None:
    moves = _moves_of(seen, "complete")
    moves.insert(-1, {**moves[-2], "attempt": 9, "to_state": "in_progress"})


def _double_lease(seen: Evidence) -> None:
    moves = _moves_of(seen, "in_progress")
    at = next(n for n, move in enumerate(moves) if move["to_state"] == "in_progress")
    moves.insert(at, {**moves[at]})


def _started_twice(seen: Evidence) -> None:
    seen.entries.append(_first(seen, "start"))


def _never_granted(seen: Evidence) -> None:
    one = _first(seen, "start")
    seen.entries.append(Entry("start", one.task, one.number, 77, one.pid, one.at, one.value))


def _too_early(seen: Evidence) -> None:
    ends = {(one.task, one.number) for one in seen.entries if one.moment == "end"}
    starts = [one for one in seen.entries if one.moment == "start"]
    child = next(
        one for one in starts if any((one.task, p) in ends for p in seen.plan(one.task, one.number)["parents"])
    )
    seen.entries.insert(0, Entry("start", child.task, child.number, child.attempt, child.pid, 0.0, "-"))


def _left_message(seen: Evidence) -> None:
    seen.tables["messages"].append({"seq": 1, "kind": "step", "body": {}})


def _no_entry(seen: Evidence) -> None:
    seen.tables["dlq"].clear()


def _entry_for_nothing(seen: Evidence) -> None:
    done = next(row for row in seen.tables["tasks"] if row["state"] == "complete")
    seen.tables["dlq"].append({"task_id": done["task_id"], "reason": "max_retries_exceeded", "status": "pending"})


def _forgotten_result(seen: Evidence) -> None:
    one = _first(seen, "acked")
    seen.entries.append(Entry("acked", one.task, one.number, 77, one.pid, one.at, "-"))


def _no_history(seen: Evidence) -> None:
    _moves_of(seen, "complete").pop()


def _other_view(seen: Evidence) -> None:
    seen.views[seen.tables["tasks"][0]["task_id"]] = {"REST": {"status": "cancelled", "steps": {}}}


def _left_lock(seen: Evidence) -> None:
    seen.leaks["advisory locks"] = [{"pid": 1, "objid": 2}]


def _wrong_answer(seen: Evidence) -> None:
    seen.wrong.append("500 Internal Server Error")


PLANTS: list[tuple[str, Plant]] = [
    ("I1", _lost), ("I1", _not_ended), ("I1", _wrong_end), ("I1", _wrong_answer), ("I2", _two_for_one_key),
    ("I4", _changed_result), ("I4", _wrong_result), ("I5", _stale_result), ("I6", _double_lease),
    ("I7", _started_twice), ("I7", _never_granted), ("I8", _too_early), ("I11", _left_message), ("I12", _no_entry),
    ("I12", _entry_for_nothing), ("I13", _forgotten_result), ("I14", _no_history), ("I15", _other_view),
    ("I16", _left_lock),
]  # fmt: skip


@pytest.mark.parametrize(("number", "plant"), PLANTS, ids=lambda value: getattr(value, "__name__", value))
def test_what_is_planted_is_found(played: Run, number: str, plant: Plant) -> None:
    """One thing is wrong in otherwise sound evidence: its invariant, by its number, is said to be broken."""
    seen = copy.deepcopy(played.evidence)
    plant(seen)
    assert list(INVARIANTS[number](seen)), f"{number} does not see {plant.__name__}"


TABLES = {
    "I3": (
        "update tasker_engine.transitions set seq = seq + 7 where number = 0 and to_state = 'complete'",
        "update tasker_engine.transitions set seq = seq - 7 where number = 0 and to_state = 'complete'",
    ),
    "I9": (
        "update tasker_engine.steps set state = 'enqueued' where (task_id, number) ="
        " (select task_id, number from tasker_engine.steps where state = 'complete' limit 1)",
        "update tasker_engine.steps set state = 'complete' where state = 'enqueued'",
    ),
    "I10": (
        "update tasker_engine.tasks set open = open + 1 where state = 'complete'",
        "update tasker_engine.tasks set open = open - 1 where state = 'complete'",
    ),
}


@pytest.mark.parametrize("number", TABLES)
def test_what_is_planted_into_the_tables_is_found(played: Run, number: str) -> None:
    """What the tables alone must satisfy is checked in the database itself."""
    plant, undo = TABLES[number]
    with psycopg.connect(played.evidence.dsn, autocommit=True) as connection:
        connection.execute(plant)  # type: ignore[arg-type]
        try:
            assert any(line.startswith(f"{number}:") for line in check_tables(played.evidence.dsn))
        finally:
            connection.execute(undo)  # type: ignore[arg-type]


def test_every_invariant_is_planted() -> None:
    """A check that nothing can fail is a defect."""
    assert {number for number, _ in PLANTS} == INVARIANTS.keys()
    assert {*INVARIANTS, *TABLES} == {f"I{n}" for n in range(1, 17)}


def test_a_run_that_shows_nothing_fails() -> None:
    """I17: faults that never struck, a fault of which none struck, and work that was not done are violations; a failure
    says its seed, its commit and the command that runs it again."""
    report = Report("C1", "kills", 5, 0.1, "abc")
    report.plan(Counter({"kill worker": 20, "kill server": 1}), Counter({"kill worker": 18}))
    report.counts = {"tasks": 100, "complete": 80, "meant_to_fail": 5}
    report.judge()
    assert len(report.violations) == 3
    assert all(line.startswith("I17: ") for line in report.violations)
    said = report.lines()
    assert all(words in said for words in ("seed 5", "commit abc", "--rows C1 --scale 0.1 --seed 5", "config"))
    assert report.kills == 18


def test_checks_agree_after_all(played: Run) -> None:
    """What was planted is gone: the scene is as sound as before."""
    assert check(played.evidence) == []
