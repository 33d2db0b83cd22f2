"""Who may what, for every operation and every kind of caller: generated, not written down. The count is printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from uuid import uuid4

import pytest
from api import Answer, Api, made_api, template
from doors import Door
from mint import NOW, Mint

from tasker import Tasker
from tasker.model.ids import step_uuid
from tasker.operations import OPERATIONS, PERMISSIONS, Operation
from tasker.operations.permissions import AUTHENTICATED
from tasker.operations.registry import Scope
from tasker.server.auth.keys import new_key
from tasker.server.rest.routes import ROUTES, Route

OURS, THEIRS = "ours", "theirs"
EVERYTHING = tuple(sorted({f"{one.partition(':')[0]}:*" for one in PERMISSIONS}))
Names = Mapping[str, str]
"""Of a namespace: its name, and the ids of its task, of a step of that, of its entry in the queue, of its job."""
Input = Callable[[Names], dict[str, Any]]
"""What is sent to an operation: `body` and `query`."""


def _new_template(names: Names) -> str:
    return template(names["namespace"], f"new_{uuid4().hex[:8]}")


def _of_namespace(names: Names) -> dict[str, Any]:
    return {"query": f"namespace={names['namespace']}"}


def _empty(names: Names) -> dict[str, Any]:
    return {"body": {}}


WORKER = {"name": "w", "handlers": [{"name": "nothing"}]}
FIRST = {"number": 1, "attempt": 1}
INPUTS: dict[str, Input] = {
    "create_task": lambda n: {"body": {"name": "order", "namespace": n["namespace"], "context": {"of": "x"}}},
    "create_tasks": lambda n: {"body": {"name": "order", "namespace": n["namespace"], "tasks": [{}]}},
    "act_on_step": lambda n: {"body": {"action_type": "resolve_manually", "reason": "r", "resolved_by": "me"}},
    "publish_template": lambda n: {"body": {"template": _new_template(n)}},
    "publish_templates": lambda n: {"body": {"templates": [{"template": _new_template(n)}]}},
    "validate_template": lambda n: {"body": {"template": _new_template(n)}},
    "compare_versions": lambda n: {"query": "old=1.0.0&new=1.0.0"},
    "add_dlq_entry": lambda n: {"body": {"task_uuid": n["task_uuid"]}},
    "update_dlq_entry": lambda n: {"body": {"resolution_notes": "looked at"}},
    **dict.fromkeys(("get_breaker", "list_breaker_moves"), lambda n: {"query": f"breaker={n['breaker']}"}),
    **dict.fromkeys(("open_breaker", "reset_breaker"), lambda n: {"body": {"breaker": n["breaker"]}}),
    "set_breaker_limits": lambda n: {"body": {"breaker": n["breaker"], "probes": 2}},
    **dict.fromkeys(
        ("list_tasks", "watch_tasks", "list_templates", "list_handlers", "list_dlq", "list_breakers"), _of_namespace
    ),
    **dict.fromkeys(("list_domain_events", "watch_domain_events"), _of_namespace),
    "create_key": lambda n: {
        "body": {"name": "new", "permissions": ["auth:keys_manage"], "namespaces": [n["namespace"]]}
    },
    "create_job": lambda n: {"body": {"action": "pause", "filter": {"namespace": n["namespace"], "name": "order"}}},
    **dict.fromkeys(("pause_queue", "resume_queue"), lambda n: {"body": {"namespace": n["namespace"]}}),
    **dict.fromkeys(("list_queues", "list_pauses"), _of_namespace),
    **dict.fromkeys(("pause_worker", "drain_worker", "resume_worker"), _empty),
    "rerun_task": lambda n: {"body": {"from_step": "check"}},
    **dict.fromkeys(("get_performance", "get_bottlenecks", "get_durations", "get_throughput"), _of_namespace),
    "open_worker_session": lambda _: {"body": {"session_uuid": str(uuid4()), **WORKER}},
    "take_worker_turn": lambda _: {"body": {"turn": 1}},
    "await_work": lambda _: {"body": {"wait": 0}},
    "save_worker_checkpoints": lambda n: {"body": {"checkpoints": [{"task_uuid": n["task_uuid"], **FIRST}]}},
    **dict.fromkeys(("beat_worker_session", "load_for_worker", "end_worker_session"), _empty),
    **dict.fromkeys(
        ("stop_job", "pause_task", "resume_task", "check_template", "rotate_key", "drive_job", "requeue_dlq_entry"),
        _empty,
    ),
}
"""What operations need beside what their path says; the others need nothing."""


@pytest.fixture
async def api(database: str, door: Door) -> AsyncIterator[Api]:
    """A server with a task of each of two namespaces."""
    async with Tasker(database, worker=False) as tasker:
        made = made_api(tasker, door)
        for namespace in (OURS, THEIRS):
            await made.make_task(namespace)
            await made.make_entry(namespace)
            await made.make_job(namespace)
            await made.make_key(namespace)
        yield made


async def ask(api: Api, route: Route, headers: dict[str, str], namespace: str) -> Answer:
    """What this caller is answered who asks about something of that namespace."""
    names = {**names_of(api, namespace), **await session_of(api, headers, route.operation)}
    given = INPUTS.get(route.operation.name, lambda _: {})(names)
    path = route.path.format(**{name: names[name] for name in route.in_path})
    return await api.call(route.method, path, headers, given.get("body"), given.get("query", ""))


async def session_of(api: Api, headers: dict[str, str], operation: Operation[Any]) -> Names:
    """A worker's session of this caller, for operations on one; of a caller who may not have one just an id."""
    if "session_uuid" not in operation.given.model_fields or operation.name == "open_worker_session":
        return {}
    made = str(uuid4())
    await api.call("POST", "/v1/worker/sessions", headers, {"session_uuid": made, **WORKER})
    return {"session_uuid": made}


def names_of(api: Api, namespace: str) -> Names:
    """What there is in a namespace."""
    task = api.tasks[namespace]
    return {
        "namespace": namespace,
        "name": "order",
        "version": "1.0.0",
        "task_uuid": str(task),
        "step_uuid": str(step_uuid(task, 2)),
        "dlq_entry_uuid": str(api.entries[namespace]),
        "job_uuid": str(api.jobs[namespace]),
        "breaker": f"gateway-of-{namespace}",
        "key_id": api.keys[namespace],
        "event_id": str(api.events[namespace]),
    }


def opens(permission: str, operation: Operation[Any]) -> bool:
    """Whether a caller of one namespace with this permission alone is let in."""
    return operation.permission in (permission, AUTHENTICATED) and operation.scope is not Scope.WHOLE


def described(route: Route, who: str, answer: Answer, wanted: str) -> str:
    return f"{route.method} {route.path} as {who}: {answer.status} where {wanted} was due: {answer.body[:200]!r}"


async def nobodies(api: Api) -> dict[str, dict[str, str]]:
    """Callers who must be told that they are nobody."""
    revoked = await api.key(*EVERYTHING)
    await api.door.end(revoked["x-api-key"].split("_")[1])
    wrong_secret = await api.key(*EVERYTHING)
    return {
        "nobody": {},
        "an expired key": await api.key(*EVERYTHING, expires_in_s=-1),
        "a revoked key": revoked,
        "an unknown key": {"x-api-key": new_key().text},
        "a key with another secret": {"x-api-key": wrong_secret["x-api-key"][:-52] + new_key().secret},
        "a malformed key": {"x-api-key": "secret"},
        "an expired token": {"authorization": f"Bearer {Mint().token(exp=NOW - 100, permissions=list(EVERYTHING))}"},
        "an unsigned token": {"authorization": f"Bearer {Mint().token()[:-20]}"},
        "a basic login": {"authorization": "Basic cm9vdDpyb290"},
    }


async def test_every_operation_has_a_route_and_an_input() -> None:
    """The matrix leaves no operation out: each is at a route, and what it needs can be sent."""
    assert {route.operation.name for route in ROUTES} == set(OPERATIONS)
    assert set(INPUTS) <= set(OPERATIONS)


async def test_nobody_is_told_anything(api: Api) -> None:
    """Without good credentials every operation answers 401, in the one form of errors, and does nothing."""
    callers, wrong, asked = await nobodies(api), [], 0
    before = await api.door.connection.fetchval("select count(*) from tasker_engine.transitions")
    for route in ROUTES:
        for who, headers in callers.items():
            answer = await ask(api, route, headers, OURS)
            asked += 1
            if answer.status != 401 or answer.json["error"]["code"] != "AUTHENTICATION_FAILED":
                wrong.append(described(route, who, answer, "401"))
            assert "www-authenticate" in answer.headers
    print(f"\n{asked} requests of nobody, {len(wrong)} mismatches")
    assert (asked, wrong) == (len(ROUTES) * len(callers), [])
    assert await api.door.connection.fetchval("select count(*) from tasker_engine.transitions") == before


@pytest.mark.slow
async def test_each_permission_opens_its_operations_and_no_other(api: Api) -> None:
    """For each operation and each permission alone, by key and by token: 403 unless it is the one that is needed."""
    wrong: list[str] = []
    counts: Counter[str] = Counter()
    for number, permission in enumerate(PERMISSIONS):
        by_key = number % 2 == 0
        if by_key:
            headers = await api.key(permission, namespaces=[OURS])
        else:
            token = Mint(("RS256", "ES256", "EdDSA")[number % 3]).token(permissions=[permission], namespaces=[OURS])
            headers = {"authorization": f"Bearer {token}"}
        for route in ROUTES:
            answer = await ask(api, route, headers, OURS)
            is_open = opens(permission, route.operation)
            counts["open" if is_open else "closed"] += 1
            if (answer.status not in (401, 403, 404)) != is_open or answer.status >= 500:
                wrong.append(described(route, permission, answer, "an answer" if is_open else "403"))
            elif not is_open and (answer.status, answer.json["error"]["code"]) != (403, "AUTHORIZATION_FAILED"):
                wrong.append(described(route, permission, answer, "403"))
    print(
        f"\n{counts.total()} requests with one permission each, {counts['open']} of them open, {len(wrong)} mismatches"
    )
    assert counts.total() == len(ROUTES) * len(PERMISSIONS)
    assert wrong == []


@pytest.mark.parametrize("kind", ["key", "token", "role"])
async def test_all_permissions_open_all_operations(api: Api, kind: str) -> None:
    """With every `resource:*` of all namespaces each operation answers."""
    if kind == "token":
        headers = {"authorization": f"Bearer {Mint().token(permissions=list(EVERYTHING), namespaces=['*'])}"}
    elif kind == "role":
        headers = await api.key(roles=["admin"])
    else:
        headers = await api.key(*EVERYTHING)
    wrong = []
    for route in ROUTES:
        answer = await ask(api, route, headers, THEIRS)
        if answer.status >= 500 or answer.status in (401, 403, 404):
            wrong.append(described(route, kind, answer, "an answer"))
    print(f"\n{len(ROUTES)} requests with all permissions by {kind}, {len(wrong)} mismatches")
    assert wrong == []


@pytest.mark.parametrize("reached", [[OURS], [], ["nobody"]])
async def test_another_namespace_is_not_there(api: Api, reached: list[str]) -> None:
    """With all permissions in other namespaces, nothing of this one is told or done: 404, 403, or an empty list."""
    headers = await api.key(*EVERYTHING, namespaces=reached)
    before = await theirs_as_it_is(api)
    wrong: list[str] = []
    statuses: Counter[int] = Counter()
    for route in ROUTES:
        answer = await ask(api, route, headers, THEIRS)
        statuses[answer.status] += 1
        wanted = {Scope.TASK: {404}, Scope.NAMESPACE: {403}, Scope.WHOLE: {403}, Scope.ACROSS: {200, 403, 404}}
        if answer.status not in wanted[route.operation.scope]:
            wrong.append(described(route, f"a caller of {reached}", answer, str(wanted[route.operation.scope])))
        if any(word in answer.body.decode() for word in ("secret of", "initiator of", "tag-of", "reason of")):
            wrong.append(described(route, f"a caller of {reached}", answer, "nothing of theirs"))
        if (
            answer.status == 200
            and route.operation.name != "validate_template"
            and str(api.tasks[THEIRS]) in str(answer.body)
        ):
            wrong.append(described(route, f"a caller of {reached}", answer, "an empty list"))
    print(f"\n{statuses.total()} requests from another namespace, {dict(statuses)}, {len(wrong)} mismatches")
    assert wrong == []
    assert await theirs_as_it_is(api) == before


async def theirs_as_it_is(api: Api) -> list[Any]:
    """All that the tables know of their task, and how many tasks and templates they have."""
    task = api.tasks[THEIRS]
    rows: list[str] = []
    for table in ("tasks", "steps", "transitions", "acts", "dlq"):
        query = f"select t::text from tasker_engine.{table} t where task_id = $1"
        rows += sorted(row[0] for row in await api.door.connection.fetch(query, task))
    query = "select k::text from tasker_engine.api_keys k where $1 = any (k.namespaces) order by 1"
    rows += [row[0] for row in await api.door.connection.fetch(query, THEIRS)]
    query = """select count(distinct k.task_id), count(distinct t.template_id) from tasker_engine.namespaces n
               left join tasker_engine.templates t using (namespace_id)
               left join tasker_engine.tasks k using (template_id) where n.name = $1"""
    return [rows, list(await api.door.connection.fetchrow(query, THEIRS))]


async def test_the_matrix_sees_a_door_that_is_left_open(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were one operation to ask for another permission than it says, or for no namespace, the matrix would tell."""
    from tasker.operations.principal import Principal

    headers = await api.key("dlq:read", namespaces=[OURS])
    route = next(route for route in ROUTES if route.operation.name == "list_templates")
    assert (await ask(api, route, headers, OURS)).status == 403
    monkeypatch.setattr(Principal, "holds", lambda self, permission: True)
    assert (await ask(api, route, headers, OURS)).status == 200
