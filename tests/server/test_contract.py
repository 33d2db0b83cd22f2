"""The published HTTP API, route by route, against a server that runs as users start it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx2
from api_support import create
from contract import CALLS, ERROR, TEXTS, Call
from server_process import Served

from tasker.server.rest.routes import ROUTES

Serve = Callable[..., AbstractAsyncContextManager[Served]]
KINDS: dict[str, Any] = {"str": str, "int": int, "num": int | float, "bool": bool, "obj": dict}


def mismatches(value: Any, wanted: Any, path: str) -> list[str]:
    """Where a body is not as the contract says."""
    if isinstance(wanted, dict):
        if not isinstance(value, dict):
            return [f"{path}: no object"]
        missing = [f"{path}.{name}: missing" for name in wanted if name not in value]
        return missing + [
            found
            for name in wanted
            if name in value
            for found in mismatches(value[name], wanted[name], f"{path}.{name}")
        ]
    if isinstance(wanted, list):
        if not isinstance(value, list):
            return [f"{path}: no list"]
        return [found for place, one in enumerate(value) for found in mismatches(one, wanted[0], f"{path}[{place}]")]
    if wanted == "any" or (wanted.endswith("?") and value is None):
        return []
    kind = wanted.rstrip("?")
    is_right = isinstance(value, KINDS[kind]) and (kind == "bool" or not isinstance(value, bool))
    return [] if is_right else [f"{path}: {value!r} is no {wanted}"]


async def made_things(api: httpx2.AsyncClient) -> dict[str, str]:
    """What the contract's paths name: tasks in several states, a step that failed, an entry."""
    fields: dict[str, Any] = {"initiator": "ada", "source_system": "till", "reason": "a sale"}
    complete = await create(api, context={"amount": 1}, **fields)
    failed = await create(api, context={"amount": -1}, **fields)
    for task in (complete, failed):
        await api.get(f"/v1/tasks/{task['task_uuid']}", params={"wait": "60s"})
    steps = (await api.get(f"/v1/tasks/{failed['task_uuid']}/workflow_steps")).json()
    held = await create(api, delay_s=600, **fields)
    investigated = await create(api, delay_s=600, **fields)
    entry = (await api.post("/v1/dlq", json={"task_uuid": investigated["task_uuid"]})).json()
    return {
        "task": complete["task_uuid"],
        "failed": failed["task_uuid"],
        "step": steps[1]["step_uuid"],
        "held": held["task_uuid"],
        "investigated": investigated["task_uuid"],
        "entry": entry["dlq_entry_uuid"],
    }


async def check(api: httpx2.AsyncClient, call: Call, things: dict[str, str]) -> list[str]:
    """What is wrong with one route's answers."""
    path = call.path.format(**things)
    answer = await api.request(call.method, path, **({} if call.body is None else {"json": call.body}))
    name = f"{call.method} {path}"
    if answer.status_code != 200:
        return [f"{name}: {answer.status_code} {answer.text}"]
    wrong = mismatches(answer.json(), call.gives, name)
    if isinstance(call.gives, list) and not answer.json():
        wrong.append(f"{name}: nothing to look at")
    for other, status, code in call.refused:
        refused = await api.request(call.method, other.format(**things))
        said = refused.json()
        wrong += mismatches(said, ERROR, other)
        if (refused.status_code, said["error"]["code"]) != (status, code):
            wrong.append(f"{call.method} {other}: {refused.status_code} {said}, not {status} {code}")
    if (
        call.path.endswith("{step}") and call.method == "PATCH"
    ):  # what it sets going is over before it is looked at again
        await api.get(f"/v1/tasks/{things['failed']}", params={"wait": "60s"})
    return wrong


async def test_every_published_route_answers_as_published(serve: Serve) -> None:
    """Each route takes what it took, answers every field with its kind, and refuses with the code that it had."""
    async with serve() as served:
        things = await made_things(served.api)
        wrong = [found for call in CALLS for found in await check(served.api, call, things)]
        for path in TEXTS:
            if (await served.api.get(path)).status_code != 200:
                wrong.append(f"GET {path}")
        assert not wrong, "\n".join(wrong)


def test_every_published_route_needs_its_permission() -> None:
    """What a key could do before, it can do now, and nothing else."""
    for call in CALLS:
        if call.permission is not None:
            path = call.path.partition("?")[0]
            found = [r for r in ROUTES if r.method == call.method and _is_at(path, r.path)]
            assert found and found[0].operation.permission == call.permission, call.path


def _is_at(path: str, pattern: str) -> bool:
    """Whether a path of the contract is one of a route; the first route that fits answers."""
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(
        one == other or other.startswith("{") for one, other in zip(parts, wanted, strict=True)
    )
