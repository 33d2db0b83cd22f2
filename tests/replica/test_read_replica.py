"""A server with a read replica: a real one, that streams from the primary, falls behind, and goes away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.standby import Standby
from support.until import until

from tasker import Settings, Tasker
from tasker.embedded import start_private
from tasker.model.errors import TaskNotFound
from tasker.model.ids import uuid7
from tasker.model.template import HandlerRef, Step, Template
from tasker.operations import OPERATIONS
from tasker.operations.engine import Engine
from tasker.operations.permissions import EVERY_PERMISSION
from tasker.operations.principal import ANYBODY, Principal
from tasker.operations.registry import call
from tasker.operations.replica import LAGGING

pytestmark = pytest.mark.slow
TEMPLATE = Template(
    namespace="read", name="one", version="1.0.0", steps=(Step(name="only", handler=HandlerRef(callable="nobody_has")),)
)
CONFINED = Principal(subject="c", permissions=EVERY_PERMISSION, namespaces=frozenset(["read"]), kind="host")
DATABASE = "replicated"
LAG_S = 1.0


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Standby]]:
    """The DSN of a database on a primary, and the replica that follows it."""
    with start_private(tmp_path_factory.mktemp("primary")) as server:
        with psycopg.connect(server.admin_dsn, autocommit=True) as admin:
            admin.execute(f"create database {DATABASE}")
        standby = Standby(server.admin_dsn)
        try:
            standby.start()
            yield server.admin_dsn.replace("/postgres?", f"/{DATABASE}?"), standby
        finally:
            standby.remove()


@pytest.fixture
async def tasker(pair: tuple[str, Standby]) -> AsyncIterator[Tasker]:
    """A server's, which asks the replica for what may lag."""
    dsn, standby = pair
    settings = Settings(database_read_url=standby.dsn(DATABASE), read_lag_max_s=LAG_S)
    async with Tasker(dsn, templates=[TEMPLATE], worker=False, settings=settings) as made:
        yield made


async def ask(engine: Engine, name: str, principal: Principal = ANYBODY, **given: Any) -> Any:
    """What an operation answers."""
    operation = OPERATIONS[name]
    return await call(engine, operation, principal, operation.given(**given))


async def near(engine: Engine) -> None:
    """Returns when the replica answers."""
    replica = engine.replica
    assert replica is not None

    async def is_asked() -> bool:
        before = replica.counts["replica"]
        await ask(engine, "list_tasks")
        return replica.counts["replica"] > before

    await until(is_asked, "the replica answers", within_s=60)


async def test_what_may_lag_is_answered_by_the_replica(tasker: Tasker) -> None:
    """Every operation that may lag runs on a replica, which cannot be written to, also for confined callers; no other
    operation is sent there."""
    engine = tasker.engine()
    replica = engine.replica
    assert replica is not None
    task = (await tasker.submit("one", namespace="read")).task_uuid

    async def is_there() -> bool:
        await near(engine)
        return str(task) in str(await ask(engine, "list_tasks"))

    await until(is_there, "the task has come to the replica")
    for name in sorted(LAGGING):
        given = {"task_uuid": task} if "task_uuid" in OPERATIONS[name].given.model_fields else {}
        for principal in (ANYBODY, CONFINED):
            await near(engine)
            before = replica.counts["replica"]
            try:
                await ask(engine, name, principal, **given)
            except Exception as error:
                raise AssertionError(f"{name} for {principal.subject}: {error}") from error
            assert replica.counts["replica"] > before, f"{name} was not answered by the replica"
    before = replica.counts.copy()
    await ask(engine, "get_task", task_uuid=task)
    assert replica.counts == before


async def test_a_replica_that_lags_is_not_asked(tasker: Tasker, pair: tuple[str, Standby]) -> None:
    """While it lags more than it may, the primary answers, with what the replica lacks; then the replica does again."""
    standby, engine = pair[1], tasker.engine()
    await near(engine)
    standby.replay(False)
    try:
        task = (await tasker.submit("one", namespace="read")).task_uuid

        async def is_told() -> bool:
            return str(task) in str(await ask(engine, "list_tasks"))

        # What names the new task is answered at once: what the replica does not find is asked for at the primary.
        assert (await ask(engine, "explain", task_uuid=task)).task_uuid == task
        await until(is_told, "the primary answers")
        assert engine.replica is not None and engine.replica.counts["primary"] > 0
    finally:
        standby.replay(True)
    await near(engine)
    with pytest.raises(TaskNotFound):
        await ask(engine, "explain", task_uuid=uuid7())


async def test_a_replica_that_is_away_costs_nothing_but_speed(tasker: Tasker, pair: tuple[str, Standby]) -> None:
    """It dies: each question is answered all the same. It comes back: it is asked again. A primary is no replica."""
    standby, engine = pair[1], tasker.engine()
    await near(engine)
    standby.stop()
    for _ in range(3):
        await ask(engine, "list_tasks")
    standby.start()
    await near(engine)
    wrong = Tasker(pair[0], worker=False, settings=Settings(database_read_url=pair[0]))
    async with wrong:
        astray = wrong.engine()
        for _ in range(3):
            await ask(astray, "list_tasks")
        assert astray.replica is not None and astray.replica.counts["replica"] == 0


def test_the_docs_name_what_may_lag() -> None:
    """The page of servers lists every operation that a replica may answer."""
    page = (Path(__file__).parents[2] / "docs" / "postgresql.md").read_text("utf-8")
    assert all(f"`{name}`" in page for name in LAGGING)
