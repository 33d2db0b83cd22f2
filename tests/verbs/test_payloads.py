"""What a grant carries, and what comes by load."""

from __future__ import annotations

from support.engine import Engine

from tasker.store.replies import Grant


async def test_a_claim_brings_contexts_and_parents_results(engine: Engine) -> None:
    """A claimed step comes with its task's context, and with what its parents returned."""
    await engine.publish("a -> b")
    task = await engine.submit({"order": 7})
    first, second = await engine.session(["a"]), await engine.session(["b"])
    await first.succeed(*await first.claim(), result={"total": 3})
    reply = await second.claim_reply()
    assert reply.inputs == {task: '{"order": 7}'}
    assert reply.results == {task: {1: '{"total": 3}'}}


async def test_each_result_comes_once(engine: Engine) -> None:
    """A result that several granted steps need is sent once per task."""
    await engine.publish("a -> b, c, d")
    task = await engine.submit()
    first, second = await engine.session(["a"]), await engine.session(["b", "c", "d"])
    await first.succeed(*await first.claim(), result="x" * 100)
    rows = await engine.rows(
        "select kind, count(*) from tasker_engine.claim($1, $2, $3, array[10], false) group by kind order by kind",
        second.number,
        second.serving.channels,
        second.serving.pools,
    )
    assert {row["kind"]: row["count"] for row in rows} == {"batch": 1, "grant": 3, "inputs": 1, "result": 1}
    assert (await engine.states(task))["d"] == "in_progress"


async def test_a_reply_has_a_size_limit(engine: Engine) -> None:
    """One call carries at most 64 kB of payload, however much its grants need; load brings the rest."""
    await engine.publish("a")
    contexts = [{"text": "x" * 20_000, "n": n} for n in range(10)]
    tasks = await engine.submit_many(contexts=contexts)
    worker = await engine.session()
    reply = await worker.claim_reply()
    assert len(reply.grants) == 10
    assert 1 <= len(reply.inputs) <= 3
    assert sum(len(text) for text in reply.inputs.values()) <= 65_536
    missing = [task for task in tasks if task not in reply.inputs]
    loaded = await engine.verbs.load(engine.connection, missing, [0] * len(missing))
    assert {*loaded.inputs, *reply.inputs} == set(tasks)


async def test_a_huge_join_does_not_stop_the_fleet(engine: Engine) -> None:
    """A convergence over more data than one value can hold is granted like any other step; its results come as rows."""
    parents = [f"p{n}" for n in range(40)]
    await engine.publish(", ".join(parents) + " -> join")
    task = await engine.submit()
    small = await engine.submit()
    worker = await engine.session()
    grants = await worker.claim()
    joins: list[Grant] = []
    for grant in grants:
        joins += (await worker.succeed(grant, result="x" * 300_000)).grants
    assert {grant.task_id for grant in joins} == {task, small}
    loaded = await engine.verbs.load(engine.connection, [task] * 40, list(range(1, 41)))
    assert len(loaded.results[task]) == 40
    for join in joins:
        await worker.succeed(join)
    assert await engine.state(task) == "complete"


async def test_load_locks_nothing(engine: Engine) -> None:
    """Contexts and results can be read while their rows are held, and reading them holds none."""
    await engine.publish("a -> b")
    task = await engine.submit({"x": 1})
    worker = await engine.session()
    await worker.succeed(*await worker.claim(), result=2)
    holder = await engine.connect()
    async with holder.transaction():
        await holder.execute("select from tasker_engine.tasks for update")
        await holder.execute("select from tasker_engine.steps for update")
        loaded = await engine.verbs.load(engine.connection, [task, task], [0, 1])
    assert (loaded.inputs[task], loaded.results[task][1]) == ('{"x": 1}', "2")


async def test_loading_what_is_not_there_answers_without_it(engine: Engine) -> None:
    """A result that does not exist yet, and a task that does not exist at all, are no error."""
    await engine.publish("a -> b")
    task = await engine.submit()
    loaded = await engine.verbs.load(engine.connection, [task, engine.clock.uuid7()], [1, 1])
    assert loaded.results == {}


async def test_a_bare_submit_is_marked_for_checking(engine: Engine) -> None:
    """Steps of a task whose input nobody held against its schema say so; those of a checked task do not."""
    await engine.publish("a", name="strict_one")
    await engine.connection.execute("update tasker_engine.templates set has_schema = true")
    bare = await engine.submit()
    checked = await engine.submit(is_checked=True)
    worker = await engine.session()
    assert {grant.task_id: grant.is_unchecked for grant in await worker.claim()} == {bare: True, checked: False}
