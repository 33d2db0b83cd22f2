"""Ids of tasks and steps."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st
from support.engine import Engine

from tasker.model.ids import step_number, step_uuid, uuid7
from tasker.store.reads import Reads

NUMBERS = st.integers(min_value=1, max_value=10_000)


def test_ids_rise_and_carry_the_time() -> None:
    """Ids made one after the other rise, are of version 7, and carry the time at which they were made."""
    before_ms = time.time_ns() // 1_000_000
    made = [uuid7() for _ in range(20_000)]
    after_ms = time.time_ns() // 1_000_000
    assert all(one < other for one, other in pairwise(made))
    assert {each.version for each in made} == {7}
    assert {each.variant for each in made} == {uuid4().variant}
    assert before_ms <= made[0].int >> 80
    assert made[-1].int >> 80 <= after_ms + 20


@given(NUMBERS, NUMBERS)
def test_a_steps_id_is_its_own(one: int, other: int) -> None:
    """A step's id is always the same, differs from every other step's, and is no task's."""
    task = uuid7()
    assert step_uuid(task, one) == step_uuid(task, one)
    assert (step_uuid(task, one) == step_uuid(task, other)) == (one == other)
    assert step_uuid(task, one).version == 8


def test_a_steps_id_leads_back() -> None:
    """From a step's id and its task the number is found; an id of another task's step is not."""
    task, other = uuid7(), uuid7()
    assert step_number(task, step_uuid(task, 7), 10) == 7
    assert step_number(task, step_uuid(other, 7), 10) is None
    assert step_number(task, step_uuid(task, 11), 10) is None


async def test_the_engine_makes_the_same_ids(engine: Engine) -> None:
    """SQL derives the ids that Python derives."""
    for number in (1, 2, 255, 256, 9_999):
        task = uuid7()
        assert await engine.value("select tasker_engine.step_uuid($1, $2)", task, number) == step_uuid(task, number)


async def test_a_steps_id_alone_finds_the_step(engine: Engine, reads: Reads, reader: Any) -> None:
    """The task and the number of a step are found by the step's id alone, also among tasks of the same moment."""
    await engine.publish("a -> b, c -> d")
    tasks = [await engine.submit() for _ in range(20)]
    for task in tasks:
        assert await reads.task_of_step(reader, step_uuid(task, 3)) == (task, 3)
    assert await reads.task_of_step(reader, step_uuid(tasks[0], 5)) is None
    assert await reads.task_of_step(reader, uuid7()) is None
