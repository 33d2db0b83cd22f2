"""A worker of the plainest kind: it says over HTTP what it is told to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2

from tasker.model.ids import uuid7

Json = dict[str, Any]
SHORT_TIMES = {"lease_s": 60.0, "beat_s": 0.2, "sweep_s": 0.1, "poll_s": 0.05}

FLOW = """
tasker: 1
namespace_name: shop
name: flow
version: 1.0.0
steps:
  - {name: a, handler: a, retry: {max_attempts: 2, backoff_base_ms: 1}}
  - {name: b, handler: b, dependencies: [a]}
"""


def fence(grant: Mapping[str, Any]) -> Json:
    """What names an attempt."""
    return {name: grant[name] for name in ("task_uuid", "number", "attempt")}


def done(grant: Mapping[str, Any], result: Any = None, **more: Any) -> Json:
    """An outcome that is a success."""
    return {**fence(grant), "kind": "succeeded", "result": result, **more}


@dataclass
class PlainWorker:
    """One session, which counts its turns."""

    client: httpx2.AsyncClient
    handlers: Sequence[str] = ("a", "b")
    session_uuid: str = field(default_factory=lambda: str(uuid4()))
    turns: int = 0

    async def call(self, what: str, body: Mapping[str, Any] = {}) -> httpx2.Response:
        """Any call of the session."""
        return await self.client.post(f"/v1/worker/sessions/{self.session_uuid}/{what}", json=dict(body))

    async def open(self, **about: Any) -> httpx2.Response:
        """Begins the session."""
        handlers = [{"name": name} for name in self.handlers]
        body = {"session_uuid": self.session_uuid, "name": "plain", "handlers": handlers, **about}
        return await self.client.post("/v1/worker/sessions", json=body)

    async def turn(self, outcomes: Sequence[Json] = (), *, free: int = 1, **more: Any) -> Json:
        """The answer of the next turn."""
        answer = await self.turn_answer(outcomes, free=free, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def turn_answer(self, outcomes: Sequence[Json] = (), *, free: int = 1, **more: Any) -> httpx2.Response:
        """The next turn, however it is answered."""
        self.turns += 1
        return await self.call("turn", {"turn": self.turns, "outcomes": list(outcomes), "free": [free], **more})

    async def asked(self, what: str, body: Mapping[str, Any] = {}) -> Json:
        """What a call is answered, which is no refusal."""
        answer = await self.call(what, body)
        assert answer.status_code == 200, answer.text
        return answer.json()


async def create(client: httpx2.AsyncClient, count: int = 1, **context: Any) -> list[str]:
    """New tasks of shop/flow."""
    tasks = [{"context": context, "task_uuid": str(uuid7())} for _ in range(count)]
    answer = await client.post("/v1/tasks/bulk", json={"name": "flow", "namespace": "shop", "tasks": tasks})
    assert answer.status_code == 200, answer.text
    return [one["task_uuid"] for one in answer.json()["tasks"]]


async def state_of(client: httpx2.AsyncClient, task_uuid: str) -> str:
    """How a task stands."""
    return (await client.get(f"/v1/tasks/{task_uuid}")).json()["status"]
