"""A submit in the user's own transaction: with each driver, the task exists exactly if the transaction commits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import django
import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection as django_connection
from django.db import connections as django_connections
from django.db import transaction as django_transaction
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import class_row, dict_row
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from support.templates import template

from tasker import SubmitCall, SubmittedTask, Tasker, TaskerError, TaskRequest, step_handler, submit_call
from tasker.model.errors import IdentityConflict, InvalidInput, PayloadTooLarge, SchemaOutdated, TemplateNotFound
from tasker.model.template import Template

PAGE = Path(__file__).parents[1] / "docs" / "transactions.md"
ORDER = "insert into orders (number) values (7)"
Driver = Callable[[str, Sequence[SubmitCall], bool], Awaitable[list[SubmittedTask]]]


class Undone(Exception):
    """What makes a user's transaction roll back."""


def finish(answers: list[SubmittedTask], fails: bool) -> list[SubmittedTask]:
    if fails:
        raise Undone
    return answers


def psycopg_(dsn: str, calls: Sequence[SubmitCall], fails: bool) -> list[SubmittedTask]:
    with psycopg.connect(dsn) as connection:
        connection.execute(ORDER)
        return finish([call.execute(connection) for call in calls], fails)


def psycopg_cursor(dsn: str, calls: Sequence[SubmitCall], fails: bool) -> list[SubmittedTask]:
    with psycopg.connect(dsn, row_factory=dict_row) as connection, connection.cursor() as cursor:
        cursor.execute(ORDER)
        return finish([call.execute(cursor) for call in calls], fails)


def psycopg_records(dsn: str, calls: Sequence[SubmitCall], fails: bool) -> list[SubmittedTask]:
    with psycopg.connect(dsn, row_factory=class_row(Undone)) as connection:
        connection.execute(ORDER)
        return finish([call.execute(connection) for call in calls], fails)


async def psycopg_async(dsn: str, calls: Sequence[SubmitCall], fails: bool) -> list[SubmittedTask]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute(ORDER)
        return finish([await call.execute_async(connection) for call in calls], fails)


async def psycopg_async_cursor(dsn: str, calls: Sequence[SubmitCall], fails: bool) -> list[SubmittedTask]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection, connection.cursor() as cursor:
        await cursor.execute(ORDER)
        return finish([await call.execute_async(cursor) for call in calls], fails)


async def asyncpg_(dsn: str, calls: Sequence[SubmitCall], fails: bool) -> list[SubmittedTask]:
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute(ORDER)
            return finish([await call.execute_async(connection) for call in calls], fails)
    finally:
        await connection.close()


async def asyncpg_pool(dsn: str, calls: Sequence[SubmitCall], fails: bool) -> list[SubmittedTask]:
    async with asyncpg.create_pool(dsn, min_size=1) as pool, pool.acquire() as connection, connection.transaction():
        await connection.execute(ORDER)
        return finish([await call.execute_async(connection) for call in calls], fails)


def sqlalchemy_(dsn: str, calls: Sequence[SubmitCall], fails: bool) -> list[SubmittedTask]:
    engine = create_engine("postgresql+psycopg://", creator=partial(psycopg.connect, dsn))
    try:
        with engine.begin() as connection:
            connection.execute(text(ORDER))
            return finish([call.execute(connection) for call in calls], fails)
    finally:
        engine.dispose()


def sqlalchemy_session(dsn: str, calls: Sequence[SubmitCall], fails: bool) -> list[SubmittedTask]:
    engine = create_engine("postgresql+psycopg://", creator=partial(psycopg.connect, dsn))
    try:
        with Session(engine) as session, session.begin():
            session.execute(text(ORDER))
            return finish([call.execute(session) for call in calls], fails)
    finally:
        engine.dispose()


async def sqlalchemy_asyncpg(dsn: str, calls: Sequence[SubmitCall], fails: bool) -> list[SubmittedTask]:
    engine = create_async_engine("postgresql+asyncpg://", async_creator=partial(asyncpg.connect, dsn))
    try:
        async with engine.begin() as connection:
            await connection.execute(text(ORDER))
            return finish([await call.execute_async(connection) for call in calls], fails)
    finally:
        await engine.dispose()


async def sqlalchemy_async_session(dsn: str, calls: Sequence[SubmitCall], fails: bool) -> list[SubmittedTask]:
    connect = partial(psycopg.AsyncConnection.connect, dsn)
    engine = create_async_engine("postgresql+psycopg://", async_creator=connect)
    try:
        async with AsyncSession(engine) as session, session.begin():
            await session.execute(text(ORDER))
            return finish([await call.execute_async(session) for call in calls], fails)
    finally:
        await engine.dispose()


def django_(dsn: str, calls: Sequence[SubmitCall], fails: bool) -> list[SubmittedTask]:
    with django_database(dsn), django_transaction.atomic():
        with django_connection.cursor() as cursor:
            cursor.execute(ORDER)
        return finish([call.execute(django_connection) for call in calls], fails)


@contextmanager
def django_database(dsn: str) -> Generator[None]:
    """Django's default connection of this thread leads to this database while the block lasts."""
    if not django_settings.configured:
        django_settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.postgresql"}})
        django.setup()
    told = conninfo_to_dict(dsn)
    place = {"NAME": told["dbname"], "USER": told["user"], "HOST": told["host"], "PORT": told["port"]}
    django_connections.databases["default"].update(place)
    try:
        yield
    finally:
        django_connections["default"].close()
        del django_connections["default"]


DRIVERS = [
    psycopg_,
    psycopg_cursor,
    psycopg_records,
    psycopg_async,
    psycopg_async_cursor,
    asyncpg_,
    asyncpg_pool,
    sqlalchemy_,
    sqlalchemy_session,
    sqlalchemy_asyncpg,
    sqlalchemy_async_session,
    django_,
]


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.__name__.rstrip("_"))
def driver(request: pytest.FixtureRequest) -> Driver:
    """Writes an order and submits, in one transaction of a user's; a sync one does so in a thread."""

    async def run(dsn: str, calls: Sequence[SubmitCall], fails: bool) -> list[SubmittedTask]:
        if asyncio.iscoroutinefunction(request.param):
            return await request.param(dsn, calls, fails)
        return await asyncio.to_thread(request.param, dsn, calls, fails)

    return run


@step_handler("ship")
async def ship(context: Any) -> dict[str, Any]:
    return {"shipped": context.get_input("number")}


SHOP = template("ship", name="process_order", namespace="shop")


@pytest.fixture
async def shop(database: str) -> Any:
    """A Tasker that works on the user's database, which has a table of orders."""
    with psycopg.connect(database) as connection:
        connection.execute("create table orders (number int)")
    async with Tasker(database, templates=[SHOP], handlers=[ship]) as tasker:
        yield tasker


def orders(dsn: str) -> int:
    return count(dsn, "orders")


def count(dsn: str, table: str) -> int:
    with psycopg.connect(dsn) as connection:
        return connection.execute(f"select count(*) from {table}").fetchone()[0]  # type: ignore[index]


def call(number: int = 7, **options: Any) -> SubmitCall:
    return submit_call("process_order", namespace="shop", context={"number": number}, **options)


async def test_a_committed_task_runs(shop: Tasker, database: str, driver: Driver) -> None:
    """What the user's transaction committed is a task, under the id that the call had before, and a worker runs it."""
    asked = call(tags=["web"], priority=1)

    (answer,) = await driver(database, [asked], False)

    assert answer == SubmittedTask(asked.task_uuid, False)
    done = await shop.wait(answer.task_uuid, timeout=30)
    assert done.results == {"ship": {"shipped": 7}}
    assert (done.task.tags, done.task.priority) == (("web",), 1)
    assert orders(database) == 1


async def test_a_rolled_back_task_never_existed(shop: Tasker, database: str, driver: Driver) -> None:
    """What the user's transaction undid leaves nothing behind, not even its key: the order is gone, and the task."""
    with pytest.raises(Undone):
        await driver(database, [call(idempotency_key="order-7"), call(8)], True)

    tables = ("orders", "tasker_engine.tasks", "tasker_engine.steps", "tasker_engine.identities")
    assert {table: count(database, table) for table in tables} == dict.fromkeys(tables, 0)
    (answer,) = await driver(database, [call(9, idempotency_key="order-7")], False)
    assert not answer.is_duplicate


async def test_a_repeat_is_the_same_task_and_other_content_a_conflict(
    shop: Tasker, database: str, driver: Driver
) -> None:
    """A key that was used gives the task that has it; with other content the transaction fails, and names that task."""
    (first,) = await driver(database, [call(idempotency_key="order-7")], False)
    (second,) = await driver(database, [call(idempotency_key="order-7")], False)
    assert second == SubmittedTask(first.task_uuid, True)

    with pytest.raises(IdentityConflict, match="used before with other content") as caught:
        await driver(database, [call(8, idempotency_key="order-7")], False)

    assert caught.value.task_uuid == first.task_uuid
    assert (orders(database), count(database, "tasker_engine.tasks")) == (2, 1)


async def test_an_unknown_template_fails_the_transaction(shop: Tasker, database: str) -> None:
    """The error is Tasker's own, and the user's order is not written."""
    with pytest.raises(TemplateNotFound, match="nothing_like_it"):
        await asyncpg_(database, [submit_call("nothing_like_it", namespace="shop")], False)

    assert orders(database) == 0


async def test_a_database_without_the_schema_is_told_what_to_do(empty_database: str) -> None:
    """A connection to a database that Tasker does not know gets an error that says how to make it known."""
    with psycopg.connect(empty_database) as connection, pytest.raises(SchemaOutdated, match="tasker db migrate"):
        call().execute(connection)


async def test_errors_of_others_stay_theirs(shop: Tasker, database: str) -> None:
    """What is wrong with the connection itself is the driver's own error."""
    connection = psycopg.connect(database)
    connection.close()
    with pytest.raises(psycopg.OperationalError):
        call().execute(connection)


async def test_the_worker_checks_what_the_database_could_not(shop: Tasker, database: str) -> None:
    """A context that does not fit the template's schema is an error of the task, before its first step has run."""
    schema = {"type": "object", "required": ["number"]}
    made = Template(namespace="shop", name="strict", version="1.0.0", steps=SHOP.steps, input_schema=schema)
    await shop.publish(made)
    with psycopg.connect(database) as connection:
        answer = submit_call("strict", namespace="shop").execute(connection)

    done = await shop.wait(answer.task_uuid, timeout=30)

    assert (done.status, done.errors["ship"]["error_code"]) == ("error", "invalid_input")


async def test_what_no_connection_is_is_said(database: str) -> None:
    """An engine, a connection of the other kind, or anything else is refused with what to give instead."""
    engine = create_engine("postgresql+psycopg://", creator=partial(psycopg.connect, database))
    with pytest.raises(TaskerError, match=r"a sqlalchemy\.engine\.base\.Engine is no connection: give it the"):
        call().execute(engine)
    with pytest.raises(TaskerError, match=r"is no connection"):
        call().execute(None)
    async with await psycopg.AsyncConnection.connect(database) as connection:
        with pytest.raises(TaskerError, match=r"use `await call\.execute_async\(connection\)`"):
            call().execute(connection)
    with psycopg.connect(database) as connection, pytest.raises(TaskerError, match="not an asynchronous connection"):
        await call().execute_async(connection)


def test_a_call_is_checked_when_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A context that cannot be stored is refused before it comes near the transaction."""
    with pytest.raises(InvalidInput, match="cannot be JSON"):
        submit_call("process_order", context={"of": object()})
    monkeypatch.setenv("TASKER_INPUT_BYTES_MAX", "10")
    with pytest.raises(PayloadTooLarge, match="the limit is 10"):
        submit_call("process_order", context={"number": "seven, and then some"})


def test_a_call_goes_to_the_schema_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """TASKER_SCHEMA is where the verb is looked for, unless the call names another."""
    monkeypatch.setenv("TASKER_SCHEMA", "elsewhere")

    assert "elsewhere.submit(" in call().dbapi()[0]
    assert "here.submit(" in call(schema="here").dbapi()[0]


async def test_requests_of_both_ways_are_the_same(shop: Tasker, database: str) -> None:
    """A TaskRequest that Tasker submits and a call with the same fields are the same task."""
    (first,) = await shop.submit_many(
        "process_order", [TaskRequest(context={"number": 7}, idempotency_key="k")], namespace="shop"
    )
    (second,) = await asyncpg_(database, [call(idempotency_key="k")], False)

    assert second == SubmittedTask(first.task_uuid, True)


# The page


def place_order(heading: str) -> Callable[..., Any]:
    """The function of the page's section of that name."""
    section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    code = re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(code[0], names)  # noqa: S102 - our own page
    return names["place_order"]


async def run_the_page(heading: str, database: str) -> UUID:
    order = {"number": 7}
    if heading == "asyncpg":
        return await place_order(heading)(database, order)
    if heading == "psycopg":
        return await asyncio.to_thread(place_order(heading), database, order)
    if heading == "SQLAlchemy":
        engine = create_engine("postgresql+psycopg://", creator=partial(psycopg.connect, database))
        task_uuid = await asyncio.to_thread(place_order(heading), engine, order)
        engine.dispose()
        return task_uuid

    def in_thread() -> UUID:
        with django_database(database):
            return place_order(heading)(order)

    return await asyncio.to_thread(in_thread)


@pytest.mark.parametrize("heading", ["psycopg", "SQLAlchemy", "Django", "asyncpg"])
async def test_the_page_works(shop: Tasker, database: str, heading: str) -> None:
    """Every snippet of docs/transactions.md writes its order and a task that runs."""
    task_uuid = await run_the_page(heading, database)

    assert (await shop.wait(task_uuid, timeout=30)).results == {"ship": {"shipped": 7}}
    assert orders(database) == 1


async def test_the_pages_sql_works(shop: Tasker, database: str) -> None:
    """The statement of docs/transactions.md, as it stands there, submits a task that runs."""
    (statement,) = re.findall(r"^```sql\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    with psycopg.connect(database) as connection:
        row = connection.execute(statement).fetchone()

    assert row is not None
    assert (await shop.wait(row[0], timeout=30)).status == "complete"
