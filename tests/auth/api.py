"""The API in this process, called as a server calls it, with callers of all kinds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from doors import SECRET, Door
from fastapi import FastAPI
from mint import AUDIENCE, ISSUER, tokens
from support.engine import Engine

from tasker import Tasker
from tasker.model.ids import uuid7
from tasker.model.task import TaskFilter
from tasker.server.auth import Authenticator
from tasker.server.auth.wiring import authenticator
from tasker.settings import Settings
from tasker.store import events as outbox
from tasker.store.dlq import add_entry
from tasker.store.events import Made
from tasker.store.jobs import create_job
from tasker.templates import load_text


def template(namespace: str, name: str = "order") -> str:
    """A template of that namespace."""
    return (
        f"tasker: 1\nnamespace_name: {namespace}\nname: {name}\nversion: 1.0.0\nsteps:\n"
        "  - {name: check, handler: check, publishes_events: [{name: order.checked}]}\n"
        "  - {name: charge, handler: charge, dependencies: [check],\n"
        f"     system_dependency: gateway-of-{namespace}}}\n"
    )


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass
class Api:
    """The application; `headers` say who calls."""

    app: FastAPI
    tasker: Tasker
    door: Door
    authenticator: Authenticator
    tasks: dict[str, UUID] = field(default_factory=dict[str, UUID])
    entries: dict[str, UUID] = field(default_factory=dict[str, UUID])
    jobs: dict[str, UUID] = field(default_factory=dict[str, UUID])
    keys: dict[str, str] = field(default_factory=dict[str, str])
    events: dict[str, UUID] = field(default_factory=dict[str, UUID])

    async def call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Any = None,
        query: str = "",
        address: str = "127.0.0.1",
    ) -> Answer:
        """One request; of a stream the first part."""
        raw = b"" if body is None else json.dumps(body).encode()
        given = {"host": "tasker.example", "content-type": "application/json", **headers}
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": (address, 1), "server": ("127.0.0.1", 80),
        }  # fmt: skip
        exchange = _Exchange(raw)
        running = asyncio.ensure_future(self.app(scope, exchange.receive, exchange.send))
        finished = asyncio.ensure_future(exchange.finished.wait())
        try:
            await asyncio.wait([running, finished], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
        finally:
            for task in (running, finished):
                task.cancel()
            await asyncio.gather(running, finished, return_exceptions=True)
        return Answer(exchange.status, exchange.headers, bytes(exchange.body))

    async def make_task(self, namespace: str) -> UUID:
        """A task of that namespace whose first step is done."""
        await self.tasker.publish(load_text(template(namespace)).template)
        made = await self.tasker.submit(
            "order",
            namespace=namespace,
            context={"of": f"secret of {namespace}"},
            initiator=f"initiator of {namespace}",
            tags=[f"tag-of-{namespace}"],
            reason=f"reason of {namespace}",
        )

        await self._half(namespace)
        self.tasks[namespace] = made.task_uuid
        return made.task_uuid

    async def _half(self, namespace: str) -> None:
        """Does the first step, as a worker does, and lets go of the other."""
        engine = Engine(self.tasker.dsn)
        await engine.open()
        try:
            session = await engine.session(["check"])
            await session.succeed(*await session.claim(), result={"of": f"secret of {namespace}"})
            self.events[namespace] = await _publish_event(engine, namespace)
        finally:
            await engine.close()

    async def make_entry(self, namespace: str) -> None:
        """An entry in the dead letter queue for the task of that namespace."""
        self.entries[namespace] = await add_entry(self.door.connection, uuid7(), self.tasks[namespace], actor=namespace)

    async def make_job(self, namespace: str) -> None:
        """An action on many tasks of that namespace, of which none is meant."""
        which = TaskFilter(namespace=namespace, name="nothing")
        self.jobs[namespace] = await create_job(self.door.connection, uuid7(), "pause", which, actor=namespace)

    async def make_key(self, namespace: str) -> None:
        """A key of that namespace, which may make keys and no more."""
        self.keys[namespace] = (await self.door.make("auth:keys_manage", namespaces=[namespace])).key_id

    async def key(self, *permissions: str, namespaces: Iterable[str] | None = None, **options: Any) -> dict[str, str]:
        """The headers of a new key that may that."""
        return {"x-api-key": (await self.door.make(*permissions, namespaces=namespaces, **options)).text}


async def _publish_event(engine: Engine, namespace: str) -> UUID:
    """Makes an event of what the outbox was told last, as a courier does; its id."""
    owner, on = uuid4(), engine.connection
    (taken,) = await outbox.take_events(on, owner, [], 10, 30, schema="tasker_engine")
    payload = json.dumps({"of": f"secret of {namespace}"})
    made = Made(taken.seq, "published", payload, "{}")
    assert await outbox.settle_events(on, owner, [made], schema="tasker_engine") == 1
    return taken.occurrence.event_id


class _Exchange:
    """One request and its response, on ASGI's terms."""

    def __init__(self, body: bytes) -> None:
        self._sent = False
        self._request = body
        self.status, self.headers, self.body = 0, dict[str, str](), bytearray()
        self.finished = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if not self._sent:
            self._sent = True
            return {"type": "http.request", "body": self._request, "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            is_stream = self.headers.get("content-type", "").startswith("text/event-stream")
            if not message.get("more_body") or (is_stream and self.body):
                self.finished.set()


def made_api(tasker: Tasker, door: Door, **settings: Any) -> Api:
    """The API of a Tasker, for callers with keys of `door` and tokens of `mint`."""
    engine = tasker.engine()
    given: dict[str, Any] = {"auth_api_key_secret": SECRET, "auth_cache_s": 0, **settings}
    made = authenticator(Settings(**given), engine.ask)
    made._tokens = tokens()
    assert (made._tokens._rules.issuer, made._tokens._rules.audience) == (ISSUER, AUDIENCE)
    return Api(tasker.asgi(authenticator=made), tasker, door, made)
