"""What is secret stays so over gRPC and in the logs of clients: statuses tell nothing of the inside, logs no secret."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from api import template
from doors import Door
from grpc import StatusCode, aio
from mint import Mint
from served import Served, served
from test_secrets_stay import ALIASES, BREAKAGES, CANARY, IN_CONTEXT, IN_DSN, IN_HEADER, INSIDE

from tasker import proto
from tasker.client import AsyncTaskerClient
from tasker.model.errors import TaskerError
from tasker.model.ids import uuid7
from tasker.server.auth.keys import new_key

Headers = Mapping[str, str]
NOBODY = str(uuid7())


@dataclass
class Faces:
    """A server with both faces, a channel to it, and a key that opens all."""

    served: Served
    channel: aio.Channel
    key: str

    async def ask(self, service: str, method: str, request: bytes, headers: Headers) -> tuple[StatusCode, str]:
        """The status of a call, and all that it says."""
        name = proto.services()[service].full_name
        called = self.channel.unary_unary(f"/{name}/{method}")(request, metadata=tuple(headers.items()), timeout=60)
        code = await called.code()
        told = b" ".join(
            one if isinstance(one, bytes) else str(one).encode()
            for pair in await called.trailing_metadata()
            for one in pair
        )
        answer = await called if code is StatusCode.OK else b""
        return code, f"{await called.details()} {(told + answer).decode(errors='replace')}"

    def log_tells(self) -> list[str]:
        """Lines of the server's log with something in them that should not be there."""
        secrets = re.compile(rf"{CANARY}|{self.key}|{self.key[-52:]}")
        return [line[:300] for line in self.served.logged().splitlines() if secrets.search(line)]


@pytest.fixture
async def faces(database: str, door: Door, tmp_path: Path) -> AsyncIterator[Faces]:
    """A server whose DSN has a password, at debug level, with a template."""
    parts = urlsplit(database)
    with_password = urlunsplit(parts._replace(netloc=parts.netloc.replace("@", f":{IN_DSN}@")))
    key = (await door.make("tasks:*", "steps:*", "dlq:*", "templates:*", "system:*", "worker:*")).text
    async with served(with_password, tmp_path, TASKER_SERVER_GRPC_PORT="0") as made:
        found = re.search(r"serving gRPC on (\S+)", made.logged())
        assert found
        body = {"template": template("shop")}
        assert (await made.client.post("/v1/templates", json=body, headers={"x-api-key": key})).status_code == 200
        async with aio.insecure_channel(found[1]) as channel:
            yield Faces(made, channel, key)


def a(name: str, /, **fields: Any) -> bytes:
    """A request, as bytes."""
    return proto.message(name)(**fields).SerializeToString()


def order(**fields: Any) -> tuple[str, str, bytes]:
    about = {"name": "order", "namespace": "shop", "context": {"card": IN_CONTEXT}, **fields}
    return "TaskService", "CreateTask", a("CreateTaskRequest", **about)


def operation(name: str, /, **given: Any) -> tuple[str, str, bytes]:
    return "OperationService", "Call", a("CallRequest", operation=name, given=given)


def deep(levels: int) -> dict[str, Any]:
    return {"a": deep(levels - 1)} if levels else {"a": 1}


PROVOKED: dict[str, tuple[str, str, bytes]] = {
    "no message": ("TaskService", "CreateTask", b"\xff\xff\xff" + CANARY.encode()),
    "a field that is unknown": ("TaskService", "CreateTask", b"\xfa\x7d\x04" + b"abcd"),
    "text that is no UTF-8": ("TaskService", "CreateTask", b"\x0a\x02\xff\xfe"),
    "an empty message": ("TaskService", "CreateTask", b""),
    "a NUL": order(context={"a": f"\0{IN_CONTEXT}"}),
    "a NUL in a name": order(name=f"\0{CANARY}"),
    "very deep": order(context=deep(60)),
    "a long string": order(context={"a": CANARY * 10_000}),
    "too many values": order(context={"a": [1.0] * 110_000}),
    "too large": order(context={"a": ["x" * 60_000] * 200}),
    "a number that is none": order(context={"a": float("nan")}),
    "a number without end": order(delay_s=float("inf")),
    "a template that there is not": order(name=f"x{CANARY}"),
    "SQL in a namespace": order(namespace="shop' union all select 1 --"),
    "no uuid": order(task_uuid="../../etc/passwd"),
    "a uuid of another version": order(task_uuid="b1e0a4d2-6f0c-4c8e-9f63-6a2f1f2c9f10"),
    "a correlation that is none": order(correlation_id=CANARY),
    "an endless key": order(idempotency_key="k" * 60_000),
    "a priority out of range": order(priority=2**31 - 1),
    "a task that there is not": ("TaskService", "GetTask", a("GetTaskRequest", task_uuid=NOBODY)),
    "a task without a name": ("TaskService", "GetTask", a("GetTaskRequest", task_uuid=f"' or 1=1 {CANARY}")),
    "a step that there is not": ("StepService", "GetStep", a("GetStepRequest", task_uuid=NOBODY, step_uuid=NOBODY)),
    "a cancel of nothing": ("TaskService", "CancelTask", a("CancelTaskRequest", task_uuid=NOBODY)),
    "a version that there is not": (
        "TemplateService", "GetTemplate", a("GetTemplateRequest", namespace="shop", name="order", version="9.9.9"),
    ),
    "an operation that there is not": operation(f"drop_{CANARY}"),
    "an operation without input": operation("get_task"),
    "an operation with too much": operation("get_task", task_uuid=NOBODY, **{IN_CONTEXT: 1}),
    "a cursor of somebody's": operation("list_tasks", cursor="AAAA%00"),
    "an order by SQL": operation("list_tasks", sort="created_at; select pg_sleep(1)"),
    "a status that is none": operation("list_tasks", status="' or 1=1"),
    "a template of aliases": operation("publish_template", template=ALIASES),
    "a template that runs code": operation("publish_template", template="!!python/object/apply:os.system [id]"),
    "a template that is none": operation("publish_template", template=f"{IN_CONTEXT}: [&a *a"),
    "an entry that there is not": operation("get_dlq_entry", dlq_entry_uuid=NOBODY),
    "a stream that is no call": operation("watch_tasks"),
}  # fmt: skip
STRANGERS: dict[str, Headers] = {
    "no credentials": {},
    "an unknown key": {"x-api-key": new_key().text},
    "a key of another shape": {"x-api-key": IN_HEADER},
    "two keys": {"x-api-key": new_key().text, "authorization": f"Bearer {IN_HEADER}"},
    "a token where none is taken": {"authorization": f"Bearer {Mint().token()}"},
}


async def test_provoked_failures_tell_nothing_of_the_inside(faces: Faces) -> None:
    """Each is a status, never INTERNAL or UNKNOWN, without SQL, paths, DSN or key; the log has none of these either."""
    mine = {"x-api-key": faces.key, "cookie": f"session={IN_HEADER}", "x-forwarded-user": IN_HEADER}
    wrong: list[str] = []
    asked = [(what, sent, mine) for what, sent in PROVOKED.items()]
    asked += [(who, order(), headers) for who, headers in STRANGERS.items()]
    for what, sent, headers in asked:
        code, told = await faces.ask(*sent, headers)
        if code in (StatusCode.OK, StatusCode.INTERNAL, StatusCode.UNKNOWN) or INSIDE.search(told):
            wrong.append(f"{what}: {code.name} {told[:300]}")
        elif any(secret in told for secret in (IN_HEADER, IN_DSN, faces.key)):
            wrong.append(f"{what} tells a secret: {told[:300]}")
    print(f"\n{len(asked)} provoked failures over gRPC, {len(wrong)} that tell")
    logged = [line for line in faces.served.logged().splitlines() if INSIDE.search(line)]
    assert (len(asked) >= 30, wrong, logged, faces.log_tells()) == (True, [], [], [])


async def test_a_database_that_refuses_is_not_quoted(faces: Faces, database: str) -> None:
    """When tables refuse a row, or are gone, the status has an id and no reason, and the log no row and no secret."""
    mine = {"x-api-key": faces.key}
    for what, statement in BREAKAGES.items():
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(statement)
        sent = order() if what != "a function is gone" else operation("get_task", task_uuid=NOBODY)
        code, told = await faces.ask(*sent, mine)
        assert code in (StatusCode.INTERNAL, StatusCode.UNAVAILABLE), (what, code, told)
        assert "error_id" in told, what
        assert not INSIDE.search(told) and CANARY not in told, (what, told)
    assert faces.log_tells() == []


async def test_a_client_logs_no_secret(faces: Faces, caplog: pytest.LogCaptureFixture) -> None:
    """At debug level nothing that a client or a library below it logs has its key, or what tasks are created with; nor
    have its errors and itself when they are printed."""
    caplog.set_level(logging.DEBUG)
    async with AsyncTaskerClient(faces.served.url, api_key=faces.key) as client:
        made = await client.create_task("order", namespace="shop", context={"card": IN_CONTEXT})
        await client.get_task(made.task_uuid)
        with pytest.raises(TaskerError) as refused:
            await client.get_task(uuid7())
        said = [repr(client), str(client), repr(refused.value), str(refused.value)]
    async with AsyncTaskerClient(faces.served.url, api_key=new_key().text) as stranger:
        with pytest.raises(TaskerError) as unknown:
            await stranger.get_task(made.task_uuid)
        said += [repr(unknown.value), repr(stranger)]
    said += [
        f"{one.getMessage()} {one.exc_text or ''} {json.dumps(one.__dict__, default=str)}" for one in caplog.records
    ]
    secrets = re.compile(rf"{CANARY}|{faces.key[-52:]}|tsk_\w{{12}}_\w+")
    assert [text[:300] for text in said if secrets.search(text)] == []
    assert caplog.records, "at debug level something is logged"
