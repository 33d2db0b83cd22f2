"""A client of servers that come and go. It asks with keys until it is told, and keeps what it was told."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import httpx2

from chaos.workload import NAMESPACE

_TIMEOUT_S, _PAUSE_S = 10.0, 0.05
REFUSALS = {429, 503}


class Client:
    """`asked` has the template and input of each key, `told` the tasks that each was answered with."""

    def __init__(self, urls: Callable[[], Sequence[str]]) -> None:
        self._urls = urls
        self._turn = 0
        self._api = httpx2.AsyncClient(timeout=_TIMEOUT_S)
        self.asked: dict[str, tuple[str, dict[str, Any]]] = {}
        self.told: dict[str, set[str]] = {}
        self.statuses: Counter[str] = Counter()
        self.wrong: list[str] = []
        """Answers that no client should ever get."""
        self.told_at: list[float] = []

    async def close(self) -> None:
        """Ends its connections."""
        await self._api.aclose()

    async def create(self, name: str, contexts: dict[str, dict[str, Any]]) -> None:
        """Creates a task for each key, and returns when it was told so."""
        self.asked |= {key: (name, context) for key, context in contexts.items()}
        tasks = [{"idempotency_key": key, "context": context} for key, context in contexts.items()]
        body = {"name": name, "namespace": NAMESPACE, "tasks": tasks}
        while not await self._try(body, list(contexts)):  # noqa: ASYNC110 - an impatient client asks again
            await asyncio.sleep(_PAUSE_S)

    async def _try(self, body: dict[str, Any], keys: list[str]) -> bool:
        urls = self._urls()
        self._turn += 1
        try:
            answer = await self._api.post(f"{urls[self._turn % len(urls)]}/v1/tasks/bulk", json=body)
        except httpx2.HTTPError as error:
            self.statuses[type(error).__name__] += 1
            return False
        self.statuses[str(answer.status_code)] += 1
        if answer.status_code in REFUSALS:
            if int(answer.headers.get("retry-after", 0)) < 1:
                self.wrong.append(f"{answer.status_code} without Retry-After")
            return False
        if answer.status_code != 200:
            self.wrong.append(f"{answer.status_code} {answer.text[:300]}")
            assert answer.status_code >= 500, self.wrong[-1]
            return False
        for key, made in zip(keys, answer.json()["tasks"], strict=True):
            self.told.setdefault(key, set()).add(made["task_uuid"])
        self.told_at.append(time.monotonic())
        return True

    async def view(self, task_uuid: str) -> dict[str, Any]:
        """A task as the server shows it, as soon as one answers."""
        while True:
            for url in self._urls():
                try:
                    answer = await self._api.get(f"{url}/v1/tasks/{task_uuid}")
                except httpx2.HTTPError:
                    continue
                if answer.status_code == 200:
                    return answer.json()
            await asyncio.sleep(_PAUSE_S)
