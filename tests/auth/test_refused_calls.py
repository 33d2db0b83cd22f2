"""The record of refused calls: who, what, when, from where, for which permission; and that nobody can fill the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from api import Api, made_api, template
from doors import Door
from grpc import aio
from support.until import until

from tasker import Settings, Tasker, proto
from tasker.model.errors import DatabaseUnavailable
from tasker.model.ids import uuid7
from tasker.server.auth.keys import new_key
from tasker.server.callers import network_of
from tasker.server.entrance import Entrance
from tasker.server.grpc import GrpcServer, Listening
from tasker.server.grpc.calls import address_of
from tasker.server.refused_calls import DISTINCT_MAX, RefusedCalls
from tasker.server.rest import create_app
from tasker.store.refusals import Counted, Listed, Refusal, list_refusals, note_refusals

ADDRESS = "192.0.2.7"
LIMITS: dict[str, Any] = {"auth_failures_per_minute": 4, "auth_refusals_max": 20}


@pytest.fixture
async def api(database: str, door: Door) -> AsyncIterator[Api]:
    """The API of a Tasker that knows keys of `door`."""
    async with Tasker(database, worker=False, settings=Settings(**LIMITS)) as tasker:
        yield made_api(tasker, door)


async def recorded(door: Door, count: int, **only: Any) -> list[Listed]:
    """The record, once there are so many calls in it."""
    found: list[Listed] = []

    async def are_there() -> bool:
        found[:] = await list_refusals(door.connection, age_s=3600, **only)
        return sum(one.times for one in found) >= count

    await until(are_there, f"{count} refused calls are recorded")
    assert sum(one.times for one in found) == count
    return found


async def test_a_refused_caller_is_recorded_with_what_it_lacked(api: Api, door: Door) -> None:
    """Its name with the key's id, the operation, the permission, the address; and how often, in one row."""
    key = await door.make("tasks:list", name="clerk")
    for _ in range(3):
        refused = await api.call("GET", "/v1/dlq", {"x-api-key": key.text}, address=ADDRESS)
        assert refused.status == 403
    (one,) = await recorded(door, 3)
    assert one.refusal == Refusal(
        reason="forbidden",
        face="http",
        what="list_dlq",
        who=f"clerk ({key.key_id})",
        address=ADDRESS,
        is_proven=True,
        permission="dlq:read",
        namespace=None,
    )
    assert one.times == 3 and one.first_at <= one.last_at


async def test_who_reaches_for_others_is_recorded(api: Api, door: Door) -> None:
    """A namespace that is not the caller's is named in the record; so is the one of a task that it is told nothing of,
    while a task that there is not is no refusal."""
    everybody = await api.key("tasks:*", "templates:*")
    assert (await api.call("POST", "/v1/templates", everybody, body={"template": template("theirs")})).status == 200
    made = await api.call("POST", "/v1/tasks", everybody, body={"name": "order", "namespace": "theirs"})
    tenant = await api.key("tasks:*", namespaces=["ours"])
    assert (
        await api.call("POST", "/v1/tasks", tenant, body={"name": "order", "namespace": "theirs"}, address=ADDRESS)
    ).status == 403
    hidden = await api.call("GET", f"/v1/tasks/{made.json['task_uuid']}", tenant, address=ADDRESS)
    absent = await api.call("GET", f"/v1/tasks/{uuid7()}", tenant, address=ADDRESS)
    assert hidden.status == absent.status == 404
    assert hidden.json["error"].keys() == absent.json["error"].keys()
    assert hidden.json["error"]["kind"] == absent.json["error"]["kind"] == "task_not_found"
    found = {(one.refusal.reason, one.refusal.what, one.refusal.namespace) for one in await recorded(door, 2)}
    assert found == {("forbidden", "create_task", "theirs"), ("out_of_reach", "get_task", "theirs")}


async def test_bad_credentials_are_recorded_without_them(api: Api, door: Door) -> None:
    """Nothing of what was sent is kept, but the id of a key that there is; who is told to wait is recorded as well."""
    known, unknown = await door.make("tasks:list"), new_key()
    for sent in (
        {},
        {"x-api-key": "what I would rather not say"},
        {"x-api-key": unknown.text},
        {"x-api-key": f"tsk_{known.key_id}_{unknown.secret}"},
        {"authorization": "Bearer a.b.c"},
        {"x-api-key": unknown.text},
    ):
        assert (await api.call("GET", "/v1/tasks", sent, address=ADDRESS)).status in (401, 429)
    found = await recorded(door, 6)
    told = sorted((one.refusal.reason, one.refusal.who, one.times) for one in found)
    assert told == [
        ("guessing", "", 1), ("invalid", "", 1), ("invalid", known.key_id, 1), ("malformed", "", 2), ("missing", "", 1),
    ]  # fmt: skip
    assert not any(one.refusal.is_proven for one in found)
    rows = await door.connection.fetch("select r::text from tasker_engine.refusals r")
    assert not any(secret in row[0] for row in rows for secret in (unknown.secret, unknown.key_id, "rather", "a.b.c"))


async def test_both_faces_have_one_record_and_one_limit(api: Api, door: Door) -> None:
    """Over gRPC the same is recorded, from the same address; guesses by one face count at the other."""
    entrance = Entrance(api.tasker.engine(), api.authenticator)
    http = Api(create_app(api.tasker.engine(), entrance=entrance), api.tasker, door, api.authenticator)
    bad = {"x-api-key": new_key().text}
    listening = Listening(host="127.0.0.1", port=0)
    async with (
        GrpcServer(api.tasker.engine(), listening, entrance=entrance) as server,
        aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        for _ in range(4):
            assert await code_of(channel, "TaskService", "ListTasks", bad) == "UNAUTHENTICATED"
        assert (await http.call("GET", "/v1/tasks", bad, address="127.0.0.1")).status == 429
        few = {"x-api-key": (await door.make("tasks:list")).text}
        assert await code_of(channel, "DlqService", "ListEntries", few) == "PERMISSION_DENIED"
        assert await code_of(channel, "TaskService", "ListTasks", few) == "OK"
    found = {(one.refusal.face, one.refusal.what, one.times): one.refusal for one in await recorded(door, 6)}
    assert found.keys() == {("grpc", "list_tasks", 4), ("http", "list_tasks", 1), ("grpc", "list_dlq", 1)}
    assert {one.address for one in found.values()} == {"127.0.0.1"}
    figures = entrance.metrics.text(None).decode()
    for line in (
        'tasker_grpc_requests_total{method="ListTasks",service="TaskService",status="UNAUTHENTICATED"} 4.0',
        'tasker_grpc_requests_total{method="ListTasks",service="TaskService",status="OK"} 1.0',
        'tasker_grpc_request_seconds_count{method="ListEntries",service="DlqService"} 1.0',
        'tasker_refused_calls_total{face="grpc",reason="invalid"} 4.0',
        'tasker_refused_calls_total{face="http",reason="guessing"} 1.0',
        "tasker_grpc_requests_open 0.0",
    ):
        assert line in figures.splitlines(), line


async def code_of(channel: aio.Channel, service: str, method: str, headers: dict[str, str]) -> str:
    """The status of a call that says nothing."""
    called = channel.unary_unary(f"/{proto.services()[service].full_name}/{method}")(
        b"", metadata=tuple(headers.items())
    )
    return (await called.code()).name


def refusal(number: int, *, is_proven: bool = False, **fields: Any) -> Refusal:
    about: dict[str, Any] = {"reason": "missing", "face": "http", "what": "list_tasks", "who": "", "permission": None}
    return Refusal(**{**about, "address": str(number), "is_proven": is_proven, "namespace": None, **fields})


def once(one: Refusal, age_s: float = 0) -> Counted:
    return Counted(refusal=one, times=1, first_age_s=age_s, last_age_s=age_s)


async def test_a_flood_pushes_nothing_of_known_callers_out(door: Door) -> None:
    """Of each of the two kinds the newest rows stay, as many as the setting says."""
    ours = [once(refusal(n, is_proven=True, who="ann"), age_s=100) for n in range(3)]
    assert await note_refusals(door.connection, ours, kept_max=5, kept_days=1) == 0
    for batch in range(4):
        flood = [once(refusal(batch * 10 + n), age_s=10 - batch) for n in range(10)]
        await note_refusals(door.connection, flood, kept_max=5, kept_days=1)
    kept = await list_refusals(door.connection, age_s=3600, limit=1000)
    assert sum(one.refusal.is_proven for one in kept) == 3 and len(kept) == 8
    assert {one.refusal.address for one in kept if not one.refusal.is_proven} <= {str(n) for n in range(30, 40)}


async def test_what_is_old_goes(door: Door) -> None:
    """After the days of the setting a row is gone with the next that is written."""
    await note_refusals(door.connection, [once(refusal(1), age_s=2 * 86400)], kept_max=5, kept_days=3)
    assert await note_refusals(door.connection, [once(refusal(2))], kept_max=5, kept_days=1) == 1
    assert [one.refusal.address for one in await list_refusals(door.connection, age_s=1e9)] == ["2"]


async def test_hours_and_kinds_are_rows(door: Door) -> None:
    """Equal refusals of an hour are one row, whoever writes it and in how many goes; other hours have their own."""
    for _ in range(2):
        counted = [Counted(refusal=refusal(1), times=7, first_age_s=4000 + 7200, last_age_s=7200), once(refusal(1))]
        await note_refusals(door.connection, counted, kept_max=50, kept_days=1)
    assert sorted(one.times for one in await list_refusals(door.connection, age_s=1e6)) == [2, 14]
    assert [one.times for one in await list_refusals(door.connection, age_s=60)] == [2]


class Away:
    """An engine whose database comes when the test says so."""

    settings = Settings()

    def __init__(self) -> None:
        self.is_away, self.asked = True, asyncio.Event()
        self.written: list[Any] = []

    async def ask(self, work: Any) -> None:
        self.asked.set()
        if self.is_away:
            raise DatabaseUnavailable
        await work(self)

    async def fetchval(self, query: str, *arguments: Any) -> int:
        self.written.append(arguments)
        return 0


async def test_memory_is_bounded_and_nothing_is_lost() -> None:
    """While the database is away refusals are counted, a flood of kinds as others; with its return all is written."""
    engine = Away()
    refused = RefusedCalls(engine)  # type: ignore[arg-type]
    for n in range(3 * DISTINCT_MAX):
        refused.note(refusal(n))
    await asyncio.wait_for(engine.asked.wait(), 60)
    for n in range(3 * DISTINCT_MAX):
        refused.note(refusal(10_000 + n))
    engine.is_away = False
    await refused.close()
    (arguments,) = engine.written
    assert sum(arguments[8]) == 6 * DISTINCT_MAX
    assert len(arguments[8]) <= 2 * DISTINCT_MAX + 1


async def test_a_namespace_that_is_made_up_is_no_row_of_its_own(api: Api, door: Door) -> None:
    """Who asks for a thousand namespaces is one refusal, many times; names are cut."""
    tenant = await api.key("tasks:*", namespaces=["ours"])
    for n in range(30):
        body = {"name": "order", "namespace": f"{n}" * 100}
        assert (await api.call("POST", "/v1/tasks", tenant, body=body, address=ADDRESS)).status == 403
    (one,) = await recorded(door, 30)
    assert one.times == 30 and len(one.refusal.namespace or "") <= 300


@pytest.mark.parametrize(
    ("peer", "address", "network"),
    [
        ("ipv4:192.0.2.1:51000", "192.0.2.1", "192.0.2.1"),
        ("ipv6:%5B2001:db8:1:2:3::4%5D:51000", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("ipv6:[::1]:51000", "::1", "::/64"),
        ("ipv6:%5B::ffff:192.0.2.1%5D:1", "::ffff:192.0.2.1", "192.0.2.1"),
        ("unix:/run/socket", "unix:/run/socket", "unix:/run/socket"),
    ],
)
def test_an_address_is_one_at_both_faces(peer: str, address: str, network: str) -> None:
    """gRPC's spelling is that of HTTP; a machine's whole network of IPv6 is one guesser."""
    assert address_of(peer) == address
    assert network_of(address) == network
