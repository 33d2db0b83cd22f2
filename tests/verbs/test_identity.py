"""When two submits mean the same task."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from support.engine import Engine
from support.waiting import until_blocked

from tasker.model.errors import IdentityConflict, InvalidInput, KeyInFlight
from tasker.store.verbs import Submit


async def test_every_submit_is_a_task_of_its_own_by_default(engine: Engine) -> None:
    """`always_unique`: the same context twice is two tasks."""
    await engine.publish("a")
    assert await engine.submit({"n": 1}) != await engine.submit({"n": 1})


async def test_strict_means_same_context_same_task(engine: Engine) -> None:
    """`strict`: an equal context, whatever the order of its keys, is the same task; any difference is another."""
    await engine.publish("a", identity_strategy="strict")
    task = await engine.submit({"n": 1, "deep": {"x": 1, "y": [1, 2]}})
    assert await engine.submit({"deep": {"y": [1, 2], "x": 1}, "n": 1}) == task
    assert await engine.submit({"n": 1, "deep": {"x": 1, "y": [2, 1]}}) != task


async def test_strict_is_by_template(engine: Engine) -> None:
    """The same context for another template is another task."""
    await engine.publish("a", name="one", identity_strategy="strict")
    await engine.publish("a", name="two", identity_strategy="strict")
    assert await engine.submit({"n": 1}, name="one") != await engine.submit({"n": 1}, name="two")


async def test_caller_provided_needs_a_key(engine: Engine) -> None:
    """`caller_provided`: a submit without a key is refused, one with a known key is the same task."""
    await engine.publish("a", identity_strategy="caller_provided")
    with pytest.raises(InvalidInput, match="idempotency_key"):
        await engine.submit({"n": 1})
    task = await engine.submit({"n": 1}, idempotency_key="k")
    assert await engine.submit({"n": 1}, idempotency_key="k") == task
    assert await engine.count("tasks") == 1


@pytest.mark.parametrize("strategy", ["always_unique", "strict", "caller_provided"])
async def test_a_key_always_wins(engine: Engine, strategy: str) -> None:
    """With an idempotency key the key decides, whatever the template's strategy."""
    await engine.publish("a", identity_strategy=strategy)
    task = await engine.submit({"n": 1}, idempotency_key="one")
    assert await engine.submit({"n": 1}, idempotency_key="one") == task
    assert await engine.submit({"n": 1}, idempotency_key="two") != task


async def test_a_duplicate_is_marked(engine: Engine) -> None:
    """The answer of a repeat names the existing task and says that it existed."""
    await engine.publish("a")
    task = await engine.submit({}, idempotency_key="k")
    options = ['{"idempotency_key": "k"}', '{"idempotency_key": "fresh"}']
    ids = [engine.clock.uuid7(), engine.clock.uuid7()]
    answers = await engine.verbs.submit(engine.connection, Submit("tests", "flow", None, ids, ["{}", "{}"], options))
    assert [(answer.task_id, answer.is_duplicate) for answer in answers] == [(task, True), (ids[1], False)]


async def test_one_key_twice_in_a_batch_is_one_task(engine: Engine) -> None:
    """Within a batch the first of two with one key is the task, the second its duplicate."""
    await engine.publish("a")
    tasks = await engine.submit_many(contexts=[{"n": 1}, {"n": 1}], idempotency_key="k")
    assert tasks[0] == tasks[1]
    with pytest.raises(IdentityConflict):
        await engine.submit_many(contexts=[{"n": 1}, {"n": 2}], idempotency_key="other")
    assert await engine.count("tasks") == 1


async def test_the_same_key_with_other_content_is_a_conflict(engine: Engine) -> None:
    """The error names the task that holds the key, and nothing is written."""
    await engine.publish("a")
    task = await engine.submit({"n": 1}, idempotency_key="k")
    with pytest.raises(IdentityConflict, match=str(task)) as caught:
        await engine.submit({"n": 2}, idempotency_key="k")
    assert caught.value.task_uuid == task
    assert (await engine.count("tasks"), await engine.count("identities")) == (1, 1)


async def test_a_key_belongs_to_one_template_of_one_namespace(engine: Engine) -> None:
    """Other templates, and the same name in another namespace, have keys of their own; other versions share them."""
    await engine.publish("a", name="other")
    await engine.publish("a", name="flow", namespace="elsewhere")
    await engine.publish("a", name="flow")
    await engine.publish("a -> b", name="flow", version="2.0.0")
    task = await engine.submit(name="flow", version="1.0.0", idempotency_key="k")
    assert await engine.submit(name="flow", version="2.0.0", idempotency_key="k") == task
    others = [
        await engine.submit(name="other", idempotency_key="k"),
        await engine.submit(name="flow", namespace="elsewhere", idempotency_key="k"),
    ]
    assert len({task, *others}) == 3


async def test_a_key_expires(engine: Engine) -> None:
    """After its time a key is free, with any content; until then it holds."""
    await engine.publish("a")
    first = await engine.submit({"n": 1}, idempotency_key="k", key_ttl_s=60)
    engine.advance(59)
    assert await engine.submit({"n": 1}, idempotency_key="k", key_ttl_s=60) == first
    engine.advance(1)
    second = await engine.submit({"n": 2}, idempotency_key="k")
    assert second != first
    engine.advance(100_000)
    assert await engine.submit({"n": 2}, idempotency_key="k", ids=None) == second


async def test_a_key_whose_task_is_gone_is_free(engine: Engine) -> None:
    """Keys do not outlive their tasks."""
    await engine.publish("a")
    first = await engine.submit({"n": 1}, idempotency_key="k")
    for table in ("ready", "transitions", "steps", "inputs", "tasks"):
        await engine.connection.execute(f"delete from tasker_engine.{table}")
    assert await engine.submit({"n": 2}, idempotency_key="k") != first


async def _open_submit(engine: Engine, **options: Any) -> tuple[Any, UUID]:
    """A submit in a transaction of a user that is still open."""
    user = await engine.connect(pinned=False)
    transaction = user.transaction()
    await transaction.start()
    return transaction, await engine.submit({"n": 1}, connection=user, **options)


async def test_a_key_in_flight_is_waited_for_and_then_known(engine: Engine) -> None:
    """A second submit waits for the transaction that writes its key; when that commits, it is a duplicate."""
    await engine.publish("a")
    transaction, first = await _open_submit(engine, idempotency_key="k")
    other = await engine.connect(pinned=False)
    second = asyncio.create_task(engine.submit({"n": 1}, idempotency_key="k", connection=other))
    await until_blocked(engine, other)
    await transaction.commit()
    assert await second == first


async def test_a_key_in_flight_that_is_rolled_back_is_free(engine: Engine) -> None:
    """When the first transaction ends without a commit, the second submit makes the task."""
    await engine.publish("a")
    transaction, first = await _open_submit(engine, idempotency_key="k")
    other = await engine.connect(pinned=False)
    second = asyncio.create_task(engine.submit({"n": 2}, idempotency_key="k", connection=other))
    await until_blocked(engine, other)
    await transaction.rollback()
    assert await second != first
    assert await engine.count("tasks") == 1


async def test_a_key_in_flight_is_not_waited_for_for_long(engine: Engine) -> None:
    """After two seconds the second submit gives up and says why, and the user's own limit stands again."""
    await engine.publish("a")
    transaction, _ = await _open_submit(engine, idempotency_key="k")
    other = await engine.connect(pinned=False)
    await other.execute("set lock_timeout = '7s'")
    with pytest.raises(KeyInFlight, match="try again"):
        await engine.submit({"n": 1}, idempotency_key="k", connection=other)
    async with other.transaction():
        await engine.submit({"n": 1}, idempotency_key="free", connection=other)
        assert await other.fetchval("show lock_timeout") == "7s"
    await transaction.rollback()


async def test_keys_are_taken_in_one_order(engine: Engine) -> None:
    """Two batches with the same keys in opposite order wait for each other at most one way."""
    await engine.publish("a")
    keys = [f'{{"idempotency_key": "k{n}"}}' for n in range(20)]
    contexts = [f'{{"n": {n}}}' for n in range(20)]

    async def submit(order: int) -> set[UUID]:
        connection = await engine.connect(pinned=False)
        ids = [engine.clock.uuid7() for _ in keys]
        answers = await engine.verbs.submit(
            connection, Submit("tests", "flow", None, ids, contexts[::order], list(keys[::order]))
        )
        return {answer.task_id for answer in answers}

    made = await asyncio.gather(*(submit(order) for order in [1, -1] * 6))
    assert len({task for tasks in made for task in tasks}) == 20
    assert await engine.count("tasks") == 20


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
async def test_a_key_that_a_snapshot_cannot_see_is_an_error_that_says_so(engine: Engine, isolation: str) -> None:
    """Under a snapshot from before, a key that was taken since is refused with what to do; a fresh key is fine."""
    await engine.publish("a")
    user = await engine.connect(pinned=False)
    async with user.transaction(isolation=isolation):
        await user.fetchval("select count(*) from tasker_engine.tasks")
        await engine.submit({"n": 1}, idempotency_key="k")
        with pytest.raises(KeyInFlight, match="isolation level"):
            await engine.submit({"n": 1}, idempotency_key="k", connection=_Savepoint(user))
        await engine.submit({"n": 1}, idempotency_key="fresh", connection=user)
    assert await engine.count("tasks") == 2


class _Savepoint:
    """Runs each query in a savepoint, so that the transaction survives an error."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, query: str, *args: Any) -> Any:
        async with self._connection.transaction():
            return await self._connection.fetch(query, *args)
