"""What is secret stays so: failures tell nothing of the inside, and a server's log at debug level has no secret."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import httpx2
import psycopg
import pytest
from api import template
from doors import Door
from mint import Mint
from served import Served, served
from support.proxy import Proxy
from support.until import until

from tasker.model.ids import uuid7
from tasker.server.auth.keys import new_key

CANARY = "canary-8d1f4c77"
IN_HEADER, IN_DSN, IN_CONTEXT = f"{CANARY}-header", f"{CANARY}-dsn", f"{CANARY}-context"
INSIDE = re.compile(
    r"""asyncpg|psycopg|Traceback|site-packages|/work/|/home/|/usr/|\.py\b|line \d+, in|postgres(ql)?://|relation "|"""
    r"""tasker_engine|SQLSTATE|pg_|(?i:\bselect\b .*\bfrom\b|\binsert into\b|\bupdate\b .*\bset\b)"""
)
"""What an answer never has: SQL, paths, tracebacks, addresses of databases, names of tables."""


@pytest.fixture
async def server(database: str, door: Door, tmp_path: Path) -> AsyncIterator[Served]:
    """A server whose DSN has a password, with a template; a caller who may everything, with secrets in the headers."""
    parts = urlsplit(database)
    with_password = parts._replace(netloc=parts.netloc.replace("@", f":{IN_DSN}@"))
    key = await door.make("tasks:*", "steps:*", "dlq:*", "templates:*", "system:*", "worker:*")
    async with served(urlunsplit(with_password), tmp_path) as made:
        made.client.headers.update(
            {
                "x-api-key": key.text,
                "cookie": f"session={IN_HEADER}",
                "x-forwarded-user": IN_HEADER,
                "user-agent": IN_HEADER,
            }
        )
        answer = await made.ask("publish", "POST", "/v1/templates", json={"template": template("shop")})
        assert answer.status_code == 200, answer.text
        yield made


async def create(server: Served, **fields: Any) -> str:
    """A task with a secret in its context."""
    body = {"name": "order", "namespace": "shop", "context": {"card": IN_CONTEXT}, **fields}
    answer = await server.ask("create", "POST", "/v1/tasks", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["task_uuid"]


def in_log(server: Served) -> list[str]:
    """Lines of the log with something in them that should not be there."""
    secrets = re.compile(rf"{CANARY}|{server.client.headers['x-api-key']}|{server.client.headers['x-api-key'][-52:]}")
    return [line[:400] for line in server.logged().splitlines() if secrets.search(line)]


Provoke = Callable[[Served, str], Awaitable[Any]]


def posting(body: Any = None, *, path: str = "/v1/tasks", method: str = "POST", **options: Any) -> Provoke:
    """A request; {task} in its path is the id of a task."""

    async def provoke(server: Served, task: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json", **options.pop("headers", {})}
        said = {"content": content} if body is not None else {}
        await server.ask("provoked", method, path.format(task=task), headers=headers, **said, **options)

    return provoke


def getting(path: str, **options: Any) -> Provoke:
    return posting(None, path=path, method="GET", **options)


def order(**fields: Any) -> dict[str, Any]:
    return {"name": "order", "namespace": "shop", "context": {"card": IN_CONTEXT}, **fields}


def bearer(token: str) -> dict[str, Any]:
    return {"headers": {"authorization": f"Bearer {token}", "x-api-key": ""}}


ALIASES = "a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]\n" * 3
OTHER_CONTENT = template("shop").replace("handler: charge", "handler: other")
PROVOKED: dict[str, Provoke] = {
    "no JSON": posting(f'{{"context": "{IN_CONTEXT}'.encode()),
    "not UTF-8": posting(b'{"name": "\xff\xfe"}'),
    "a lone surrogate": posting(rb'{"name": "order", "namespace": "shop", "context": {"a": "\ud800 canary-8d1f4c77"}}'),
    "a NUL": posting(order(context={"a": f"\0{IN_CONTEXT}"})),
    "a NUL in a name": posting(order(name=f"\0{IN_CONTEXT}")),
    "a NUL in a key of the context": posting(order(context={f"\0{IN_CONTEXT}": 1})),
    "very deep": posting(b'{"context":' + b'{"a":' * 5000 + b"1" + b"}" * 5001),
    "a huge number": posting(order(priority=10**400)),
    "a number that is none": posting(b'{"name": "order", "namespace": "shop", "context": {"a": NaN}}'),
    "too large": posting(b" " * 9_000_000),
    "another kind of body": posting(b"name=order", headers={"content-type": "application/x-www-form-urlencoded"}),
    "an unknown field": posting(order(**{IN_CONTEXT: 1})),
    "a wrong type": posting(order(tags=IN_CONTEXT)),
    "a template that there is not": posting(order(name=f"x{CANARY}"[:40])),
    "SQL in a name": posting(order(name="order'; drop table tasks; --")),
    "SQL in a namespace": posting(order(namespace="shop' union all --")),
    "an id of another version": posting(order(task_uuid=str(uuid4()))),
    "a date that is none": posting(order(start_at="2030-13-45")),
    "a date before all dates": posting(order(start_at="0001-01-01T00:00:00Z")),
    "the last of all dates": posting(order(start_at="9999-12-31T23:59:59Z")),
    "a delay without end": posting(order(delay_s=1e300)),
    "an endless key": posting(order(idempotency_key="k" * 100_000)),
    "no uuid": getting("/v1/tasks/..%2f..%2fetc%2fpasswd"),
    "a task that there is not": getting(f"/v1/tasks/{uuid7()}"),
    "a step that there is not": getting(f"/v1/tasks/{{task}}/workflow_steps/{uuid4()}"),
    "a cursor of somebody's": getting("/v1/tasks?cursor=AAAA%00"),
    "a page before the first": getting("/v1/tasks?page=-1"),
    "a page without end": getting(f"/v1/tasks?page={10**30}"),
    "an order by SQL": getting("/v1/tasks?sort=created_at;select%20pg_sleep(1)"),
    "a status that is none": getting("/v1/tasks?status=%27%20or%201=1"),
    "a wait that is none": getting("/v1/tasks/{task}?wait=1e999s"),
    "a path that there is not": getting("/v1/../../etc/passwd"),
    "a method that there is not": posting(None, path="/v1/tasks/{task}", method="TRACE"),
    "a last event that is none": getting("/v1/tasks/events", headers={"last-event-id": "'; select 1"}),
    "a result of another shape": posting(
        {"action_type": "complete_manually"}, path=f"/v1/tasks/{{task}}/workflow_steps/{uuid4()}", method="PATCH"
    ),
    "a template that is none": posting({"template": f"{IN_CONTEXT}: [&a *a"}, path="/v1/templates"),
    "a template of aliases": posting({"template": ALIASES}, path="/v1/templates"),
    "a template that runs code": posting({"template": "!!python/object/apply:os.system [id]"}, path="/v1/templates"),
    "a template with other content": posting({"template": OTHER_CONTENT}, path="/v1/templates"),
    "an entry that there is not": getting(f"/v1/dlq/entry/{uuid7()}"),
    "no credentials": getting("/v1/tasks", headers={"x-api-key": ""}),
    "an unknown key": getting("/v1/tasks", headers={"x-api-key": new_key().text}),
    "a key of another shape": getting("/v1/tasks", headers={"x-api-key": IN_HEADER}),
    "a token where none is taken": getting("/v1/tasks", **bearer(Mint().token())),
    "a huge header": getting("/v1/tasks", headers={"x-api-key": CANARY * 5000}),
}  # fmt: skip


async def test_provoked_failures_tell_nothing_of_the_inside(server: Served) -> None:
    """Each failure is an answer without SQL, paths, tracebacks, DSN or token, and leaves nothing of it in the log."""
    task = await create(server)
    for what, provoke in PROVOKED.items():
        before = len(server.answers)
        await provoke(server, task)
        assert len(server.answers) == before + 1, what
        server.answers[-1] = (what, server.answers[-1][1])
    failed = server.answers[-len(PROVOKED) :]
    wrong = [f"{what}: {problem}" for what, answer in failed if (problem := told_too_much(what, answer))]
    logged = [line[:300] for line in server.logged().splitlines() if INSIDE.search(line)] + in_log(server)
    print(f"\n{len(PROVOKED)} provoked failures, {len(wrong)} answers and {len(logged)} log lines that tell")
    assert (len(PROVOKED) >= 30, wrong, logged) == (True, [], [])


def told_too_much(what: str, answer: httpx2.Response) -> str | None:
    """What is wrong with the answer to a provoked failure."""
    if answer.status_code >= 500 or (answer.status_code < 400 and what not in HARMLESS):
        return f"{answer.status_code} {answer.text[:300]}"
    if INSIDE.search(answer.text) or IN_HEADER in answer.text or IN_DSN in answer.text:
        return answer.text[:300]
    return None


HARMLESS = {"the last of all dates", "a date before all dates", "SQL in a name"}
"""Odd, and allowed."""


BREAKAGES = {
    "a trigger raises": """
        create function public.no() returns trigger language plpgsql as $$
        begin raise exception 'no % here', new; end $$;
        create trigger no before insert on tasker_engine.inputs for each row execute function public.no()""",
    "a column is gone": """
        drop trigger no on tasker_engine.inputs;
        alter table tasker_engine.inputs rename column tags to labels""",
    "a table is gone": """
        alter table tasker_engine.inputs rename column labels to tags;
        alter table tasker_engine.inputs rename to gone""",
    "a function is gone": """
        alter table tasker_engine.gone rename to inputs;
        drop function tasker_engine.read_tasks""",
}


async def test_a_database_that_refuses_is_not_quoted(server: Served, database: str) -> None:
    """When tables refuse a row, or are gone, the answer has an id and no reason; the log has neither row nor secret."""
    task = await create(server)
    for what, statement in BREAKAGES.items():
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(statement)
        body = {"name": "order", "namespace": "shop", "context": {"card": IN_CONTEXT}}
        await server.ask(what, "POST", "/v1/tasks", json=body)
        await server.ask(what, "GET", f"/v1/tasks/{task}")
    failed = [(what, answer) for what, answer in server.answers if what in BREAKAGES and answer.status_code >= 400]
    assert {what for what, _ in failed} == set(BREAKAGES)
    for what, answer in failed:
        assert answer.status_code in (500, 503), what
        assert answer.json()["error"]["error_id"], what
        assert not INSIDE.search(answer.text), (what, answer.text)
        assert CANARY not in answer.text, what
    assert in_log(server) == []


async def test_a_database_that_goes_away_is_not_named(database: str, door: Door, tmp_path: Path) -> None:
    """While connections are cut and none can be made, callers hear 503; neither they nor the log are told the DSN."""
    proxy = Proxy(database)
    parts = urlsplit(proxy.dsn)
    dsn = urlunsplit(parts._replace(netloc=f"tasker:{IN_DSN}@{parts.netloc.rpartition('@')[2]}"))
    key = await door.make("tasks:*")
    try:
        async with served(dsn, tmp_path) as server:
            server.client.headers["x-api-key"] = key.text
            assert (await server.ask("before", "GET", "/v1/tasks")).status_code == 200
            proxy.refuse()
            for _ in range(3):
                answer = await server.ask("away", "GET", "/v1/tasks")
                assert answer.status_code == 503
                assert "retry-after" in answer.headers
                assert not INSIDE.search(answer.text), answer.text
            proxy.accept()

            async def is_back() -> bool:
                return (await server.ask("back", "GET", "/v1/tasks")).status_code == 200

            await until(is_back, "the server has the database again")
            assert in_log(server) == []
            assert str(parts.port) not in server.logged()
    finally:
        proxy.close()


async def test_a_canary_is_in_no_log(server: Served) -> None:
    """A secret in context, headers and DSN, through all that is done with a task: nowhere in the log at debug level."""
    task = await create(server, idempotency_key=f"{CANARY}-key", reason=f"{CANARY}-reason", tags=[f"{CANARY}-tag"])
    for method, path in (
        *(("GET", part) for part in ("", "/summary", "/history", "/context", "/workflow_steps", "/why")),
        *(("POST", "/pause"), ("POST", "/resume"), ("DELETE", "")),
    ):  # fmt: skip
        answer = await server.ask(path, method, f"/v1/tasks/{task}{path}", **({"json": {}} if method == "POST" else {}))
        assert answer.status_code == 200, (path, answer.text)
    async with server.client.stream("GET", f"/v1/tasks/{task}/events") as stream:
        assert stream.status_code == 200
    public = [
        await server.ask(path, "GET", path) for path in ("/health/detailed", "/metrics", "/config", "/v1/openapi.json")
    ]
    assert all(CANARY not in answer.text for answer in public)
    shown = {what for what, answer in server.answers if IN_CONTEXT in answer.text}
    assert shown <= {"create", "", "/pause", "/resume", "/context"}, "a context is shown where it was asked for"
    assert in_log(server) == []
    assert server.logged().count("\n") >= 1


async def test_who_may_not_read_contexts_sees_none(server: Served, door: Door) -> None:
    """Without tasks:context_read no answer has the context, whatever else the caller may."""
    others = await door.make("tasks:create", "tasks:read", "tasks:list", "tasks:cancel", "steps:*", "dlq:*")
    server.client.headers["x-api-key"] = others.text
    task = await create(server)
    await asyncio.gather(
        *(
            server.ask(path, "GET", path.format(task=task))
            for path in (
                "/v1/tasks/{task}",
                "/v1/tasks/{task}/summary",
                "/v1/tasks/{task}/why",
                "/v1/tasks",
                "/v1/tasks/{task}/history",
            )
        )
    )
    await server.ask("dlq", "POST", "/v1/dlq", json={"task_uuid": task})
    await server.ask("dlq", "GET", "/v1/dlq")
    refused = await server.ask("context", "GET", f"/v1/tasks/{task}/context")
    assert refused.status_code == 403
    assert [what for what, answer in server.answers if IN_CONTEXT in answer.text] == []
