"""API keys over HTTP: shown once, never more than their maker, dead when they are ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from api import Answer, Api, made_api, template
from doors import SECRET, Door
from mint import Mint

from tasker import Settings, Tasker
from tasker.operations import PERMISSIONS
from tasker.server.auth.keys import new_key
from tasker.templates import load_text

MANAGE = ("auth:keys_read", "auth:keys_manage")
KEYS = "/v1/keys"


@pytest.fixture
async def api(database: str, door: Door) -> AsyncIterator[Api]:
    """A server with a template of each of two namespaces."""
    settings = Settings(auth_api_key_secret=SECRET)  # type: ignore[call-arg]
    async with Tasker(database, worker=False, settings=settings) as tasker:
        for namespace in ("ours", "theirs"):
            await tasker.publish(load_text(template(namespace)).template)
        yield made_api(tasker, door)


async def make(api: Api, maker: dict[str, str], *permissions: str, **said: Any) -> Answer:
    """What a maker is answered who asks for a key."""
    where = {} if "all_namespaces" in said else {"namespaces": ["ours"]}
    return await api.call("POST", KEYS, maker, {"name": "new", "permissions": list(permissions), **where, **said})


async def test_a_key_is_shown_once_and_opens_what_it_may(api: Api) -> None:
    """A new key lets its holder do what it may, in its namespaces, and no answer or row has its secret again."""
    maker = await api.key(*MANAGE, "templates:read")
    made = (await make(api, maker, "templates:read")).json
    holder = {"x-api-key": made["key"]}
    assert (await api.call("GET", "/v1/templates/ours/order", holder)).status == 200
    assert (await api.call("GET", "/v1/templates/theirs/order", holder)).status == 403
    assert (await api.call("GET", "/v1/tasks", holder)).status == 403
    secret = made["key"].rpartition("_")[2]
    for path in (KEYS, f"{KEYS}/{made['key_id']}"):
        answer = await api.call("GET", path, maker)
        assert answer.status == 200
        assert made["key_id"] in answer.body.decode()
        assert secret not in answer.body.decode()
    rows = await api.door.connection.fetch("select k::text from tasker_engine.api_keys k")
    assert not any(secret in row[0] for row in rows)


MORE: list[dict[str, Any]] = [
    {"permissions": ["tasks:create"]},
    {"permissions": ["auth:*"]},
    {"permissions": ["tasks:*"]},
    {"roles": ["admin"]},
    {"roles": ["viewer"]},
    {"namespaces": ["theirs"]},
    {"namespaces": ["ours", "theirs"]},
    {"namespaces": None, "all_namespaces": True},
    {"expires_in_s": 90_000},
    {"never_expires": True},
]


@pytest.mark.parametrize("more", MORE, ids=str)
@pytest.mark.parametrize("nets", ["both", "the database's"])
async def test_a_key_makes_none_that_may_more(
    api: Api, monkeypatch: pytest.MonkeyPatch, nets: str, more: dict[str, Any]
) -> None:
    """Not another permission, role or namespace, no later end; for all but permissions the database asks as well."""
    maker = await api.key(*MANAGE, namespaces=["ours"], expires_in_s=3600)
    if nets == "the database's":
        if "permissions" in more:
            pytest.skip("what a permission covers is known to the server alone")
        monkeypatch.setattr("tasker.operations.keys._check_gives", lambda *_: None)
    before = await api.door.connection.fetchval("select count(*) from tasker_engine.api_keys")
    said: dict[str, Any] = {"name": "new", "permissions": ["auth:keys_read"], "namespaces": ["ours"], **more}
    answer = await api.call("POST", KEYS, maker, said)
    assert (answer.status, answer.json["error"]["code"]) == (403, "AUTHORIZATION_FAILED"), answer.body
    assert await api.door.connection.fetchval("select count(*) from tasker_engine.api_keys") == before


async def test_each_permission_gives_itself_alone(api: Api) -> None:
    """A holder of keys:manage and one permission more can give these two, and none of the others."""
    for permission in PERMISSIONS[::4]:
        maker = await api.key("auth:keys_manage", permission)
        given = {other for other in PERMISSIONS if (await make(api, maker, other)).status == 200}
        assert given == {"auth:keys_manage", permission}


async def test_a_key_ends_with_its_maker_where_nothing_is_said(api: Api) -> None:
    """Without a time a key gets a year, or what its maker has left; a role that the maker has itself may be given."""
    maker = await api.key(*MANAGE, roles=["viewer"], expires_in_s=3600)
    made = (await make(api, maker, roles=["viewer"])).json
    row = await api.door.connection.fetchrow(
        "select extract(epoch from expires_at - now())::float8 as left_s, created_by from tasker_engine.api_keys "
        "where key_id = $1",
        made["key_id"],
    )
    assert 3000 < row["left_s"] <= 3600
    assert maker["x-api-key"].split("_")[1] in row["created_by"]
    token = {"authorization": f"Bearer {Mint().token(permissions=['auth:*'], namespaces=['*'])}"}
    answer = await make(api, token, "auth:keys_read", never_expires=True, all_namespaces=True)
    assert (answer.status, answer.json["expires_at"], answer.json["namespaces"]) == (200, None, None)


async def test_a_revoked_key_makes_none_although_it_is_still_known(database: str, door: Door) -> None:
    """In the seconds in which a server has not yet heard of its end, a key cannot make another that outlives it."""
    settings = Settings(auth_api_key_secret=SECRET)  # type: ignore[call-arg]
    async with Tasker(database, worker=False, settings=settings) as tasker:
        api = made_api(tasker, door, auth_cache_s=3)
        maker = await api.key(*MANAGE)
        assert (await api.call("GET", KEYS, maker)).status == 200
        await door.end(maker["x-api-key"].split("_")[1])
        answer = await make(api, maker, "auth:keys_read")
        assert answer.status in (401, 403)


async def test_keys_of_others_are_not_there(api: Api) -> None:
    """A confined caller sees and ends the keys all of whose namespaces are its own; others it does not find."""
    ours = await api.key(*MANAGE, namespaces=["ours"])
    theirs = {
        "another's": (await api.door.make(*MANAGE, namespaces=["theirs"])).key_id,
        "a shared one": (await api.door.make(*MANAGE, namespaces=["ours", "theirs"])).key_id,
        "one of all": (await api.door.make(*MANAGE)).key_id,
        "one of none": (await api.door.make(*MANAGE, namespaces=[])).key_id,
        "none": new_key().key_id,
    }
    listed = {one["key_id"] for one in (await api.call("GET", KEYS, ours)).json}
    assert listed == {ours["x-api-key"].split("_")[1]}
    for whose, key_id in theirs.items():
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
            answer = await api.call(method, f"{KEYS}/{key_id}{path}", ours, {} if method == "POST" else None)
            assert answer.status == 404, (whose, method)
    query = "select count(*) from tasker_engine.api_keys where revoked_at is not null"
    assert await api.door.connection.fetchval(query) == 0


async def test_a_key_is_rotated_by_who_may_as_much(api: Api) -> None:
    """The successor may the same; who may less cannot have it made; a key that has ended has none."""
    old = await api.door.make("tasks:read", "auth:keys_manage", namespaces=["ours"])
    less = await api.key(*MANAGE, namespaces=["ours"])
    assert (await api.call("POST", f"{KEYS}/{old.key_id}/rotate", less, {})).status == 403
    maker = await api.key(*MANAGE, "tasks:read")
    made = await api.call("POST", f"{KEYS}/{old.key_id}/rotate", maker, {"grace_s": 60})
    assert (made.status, made.json["replaces"], made.json["namespaces"]) == (200, old.key_id, ["ours"])
    shown = (await api.call("GET", f"{KEYS}/{made.json['key_id']}", maker)).json
    assert (shown["permissions"], shown["state"]) == (["tasks:read", "auth:keys_manage"], "live")
    assert (await api.call("GET", f"{KEYS}/{old.key_id}", maker)).json["state"] == "ending"
    again = await api.call("POST", f"{KEYS}/{old.key_id}/rotate", maker, {})
    assert (again.status, "another has taken its place" in again.json["error"]["message"]) == (400, True)


async def test_a_key_that_is_ended_opens_nothing(api: Api) -> None:
    """Ended, and ended again: its holder is nobody; one with a grace works on."""
    maker = await api.key(*MANAGE, "templates:read")
    made = (await make(api, maker, "templates:read")).json
    holder = {"x-api-key": made["key"]}
    ending = await api.call("DELETE", f"{KEYS}/{made['key_id']}", maker, query="grace_s=60")
    assert ending.json["state"] == "ending"
    assert (await api.call("GET", "/v1/templates", holder)).status == 200
    for _ in range(2):
        assert (await api.call("DELETE", f"{KEYS}/{made['key_id']}", maker)).json["state"] == "revoked"
        assert (await api.call("GET", "/v1/templates", holder)).status == 401


async def test_a_request_that_is_sent_again_makes_no_second_key(api: Api) -> None:
    """Of many with one id, sent at once, one makes the key; the others are told that it is there."""
    maker, key_id = await api.key(*MANAGE), new_key().key_id
    answers = await asyncio.gather(*(make(api, maker, "auth:keys_read", key_id=key_id) for _ in range(8)))
    assert sorted(one.status for one in answers) == [200] + [400] * 7
    assert all("not shown again" in one.json["error"]["message"] for one in answers if one.status == 400)
    query = "select count(*) from tasker_engine.api_keys where key_id = $1"
    assert await api.door.connection.fetchval(query, key_id) == 1


async def test_pages_of_keys_have_each_once(api: Api) -> None:
    """By the id of the last one of a page, all are seen, newest first."""
    for _ in range(5):
        await api.door.make("tasks:read", namespaces=["ours"])
    maker = await api.key(*MANAGE)
    seen, query = list[str](), "limit=2"
    while page := (await api.call("GET", KEYS, maker, query=query)).json:
        seen += [one["key_id"] for one in page]
        query = f"limit=2&cursor={seen[-1]}"
    assert len(seen) == len(set(seen)) == 6


WRONG: list[dict[str, Any]] = [
    {"name": ""},
    {"name": "x" * 256},
    {"name": "nul \0"},
    {"permissions": []},
    {"permissions": ["task:read"]},
    {"permissions": ["*"]},
    {"permissions": ["auth:keys_read"] * 101},
    {"roles": ["nobody"]},
    {"namespaces": []},
    {"namespaces": None},
    {"all_namespaces": True},
    {"namespaces": ["ours"] * 1001},
    {"expires_in_s": 0},
    {"expires_in_s": 1e30},
    {"expires_in_s": 60, "never_expires": True},
    {"key_id": "short"},
    {"key_id": "../../etc/pwd"},
    {"digest": "x"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: str(wrong)[:60])
async def test_what_is_no_key_is_refused(api: Api, wrong: dict[str, Any]) -> None:
    """Each mistake is told, and makes nothing."""
    maker = await api.key(*MANAGE)
    said: dict[str, Any] = {"name": "new", "permissions": ["auth:keys_read"], "namespaces": ["ours"], **wrong}
    assert (await api.call("POST", KEYS, maker, said)).status == 400
    for path in (f"{KEYS}/garbage", f"{KEYS}/%00", f"{KEYS}/{'a' * 5000}"):
        assert (await api.call("GET", path, maker)).status in (400, 404, 413)
    assert (await api.call("GET", KEYS, maker, query="limit=1000000")).status == 400


async def test_a_server_that_asks_nobody_gives_nobody_a_key(database: str, door: Door) -> None:
    """Where authentication is off, a key would outlast that: none is made, and none gets a successor."""
    from tasker.operations import ANYBODY, OPERATIONS, call

    old = await door.make("tasks:read")
    async with Tasker(database, worker=False) as tasker:
        for name, given in (
            ("create_key", {"name": "new", "permissions": ["tasks:read"], "all_namespaces": True}),
            ("rotate_key", {"key_id": old.key_id}),
        ):
            operation = OPERATIONS[name]
            with pytest.raises(Exception, match="does not ask who calls"):
                await call(tasker.engine(), operation, ANYBODY, operation.given.model_validate(given))
