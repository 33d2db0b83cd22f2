"""API keys: what opens the door, what does not, and for how long."""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from doors import SECRET, Door

from tasker.model.errors import ActionForbidden, ApiKeyNotFound, DatabaseUnavailable, Forbidden, Unauthenticated
from tasker.operations.permissions import PERMISSIONS
from tasker.server.auth import keys as keys_module
from tasker.server.auth.api_keys import KNOWN_MAX, ApiKeys
from tasker.server.auth.keys import ApiKey, matches, new_key, parse_key, server_secret
from tasker.store.managed_keys import NewKey, list_keys, reissue_key


async def refused(keys: ApiKeys, text: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        await keys.principal(text)
    return caught.value


async def test_a_key_opens_the_door_for_what_it_may(door: Door) -> None:
    """The holder has the key's permissions, those of its roles, and its namespaces, under a name for histories."""
    key = await door.make("steps:read", roles=["clerk"], namespaces=["shop", "store"])
    holder = await door.keys(roles={"clerk": ["tasks:*"]}).principal(key.text)
    assert holder.permissions == {"steps:read", "tasks:*"}
    assert holder.namespaces == {"shop", "store"}
    assert (holder.kind, holder.key, holder.subject) == ("api_key", key.key_id, f"shop ({key.key_id})")
    assert [one for one in PERMISSIONS if holder.holds(one)] == [
        *(one for one in PERMISSIONS if one.startswith("tasks:")),
        "steps:read",
    ]
    everywhere = await door.make("tasks:read")
    assert (await door.keys().principal(everywhere.text)).namespaces is None


async def test_unknown_and_wrong_keys_get_the_same_answer(door: Door) -> None:
    """A wrong secret under a known id, and an id that nobody has, are refused alike: answers tell no ids."""
    key, keys = await door.make("tasks:read"), door.keys()
    wrong = await refused(keys, ApiKey(key.key_id, new_key().secret).text)
    unknown = await refused(keys, new_key().text)
    assert (str(wrong), wrong.reason) == (str(unknown), unknown.reason)
    assert await keys.principal(key.text)


@pytest.mark.parametrize(
    "text",
    [
        "", "tsk", "tsk__", "tsk_abc_def", "x" * 100_000, "tsk_" + "a" * 12 + "_" + "a" * 51,
        "TSK_" + "a" * 12 + "_" + "a" * 52,
        "tsk_" + "a" * 12 + "_" + "a" * 52 + "\n", "tsk_' or 1=1--_" + "a" * 52, "tsk_" + "ä" * 12 + "_" + "a" * 52,
    ],
)  # fmt: skip
async def test_what_is_no_key_never_reaches_the_database(door: Door, text: str) -> None:
    """Text of another shape is refused as malformed, is not repeated, and asks nothing of the database."""
    error = await refused(door.keys(), text)
    assert error.reason == "malformed"
    assert not text.strip() or text.strip() not in str(error) or len(text) < 4
    assert door.asked == 0


async def test_a_key_that_has_expired_opens_nothing(door: Door) -> None:
    """A key ends at its time, also where it was looked up before and the database is not asked again."""
    key = await door.make("tasks:read", expires_in_s=3600)
    keys = door.keys(cache_s=1e9)
    await keys.principal(key.text)
    door.ticks.now += 3590
    await keys.principal(key.text)
    door.ticks.now += 10
    assert (await refused(keys, key.text)).reason == "expired"
    late = await door.make("tasks:read", expires_in_s=-1)
    assert (await refused(door.keys(), late.text)).reason == "expired"


async def test_a_revoked_key_is_dead_within_the_time_of_the_cache(door: Door) -> None:
    """A process that knows a key goes on for `auth_cache_s` (at most 5 s) after it was revoked, and no longer."""
    key, keys = await door.make("tasks:read"), door.keys(cache_s=5)
    await keys.principal(key.text)
    await door.end(key.key_id, actor="root")
    door.ticks.now += 4.999
    await keys.principal(key.text)
    door.ticks.now += 0.001
    assert "revoked" in str(await refused(keys, key.text))
    assert "revoked" in str(await refused(door.keys(), key.text))


async def test_the_time_of_the_cache_counts_from_before_the_question(door: Door) -> None:
    """A slow answer of the database does not make a revoked key live longer."""
    key = await door.make("tasks:read")
    keys, find = door.keys(cache_s=3), door.access.find_key

    async def slow(connection: object, key_id: str) -> object:
        found = await find(door.connection, key_id)
        door.ticks.now += 2
        return found

    door.access.find_key = slow  # type: ignore[method-assign, assignment]
    await keys.principal(key.text)
    door.ticks.now += 1
    before = door.asked
    await keys.principal(key.text)
    assert door.asked == before + 1


async def test_without_the_database_nobody_is_let_in_on_old_knowledge(door: Door) -> None:
    """What is known serves until its time is over; then the answer is that the database is away, never a guess."""
    key, keys = await door.make("tasks:read"), door.keys()
    await keys.principal(key.text)
    door.error = DatabaseUnavailable("gone")
    door.ticks.now += 2.9
    await keys.principal(key.text)
    door.ticks.now += 0.1
    with pytest.raises(DatabaseUnavailable):
        await keys.principal(key.text)
    door.error = None
    await keys.principal(key.text)


async def test_requests_that_come_together_ask_once(door: Door) -> None:
    """A hundred requests with a key that is not known yet are one question to the database, and one note of its use."""
    key, keys = await door.make("tasks:read"), door.keys()
    held, busy = asyncio.Lock(), door.ask

    async def one_by_one(work: object) -> object:
        async with held:  # the driver serves one call at a time on this connection
            return await busy(work)  # type: ignore[arg-type]

    keys._ask = one_by_one  # type: ignore[assignment, method-assign]
    holders = await asyncio.gather(*(keys.principal(key.text) for _ in range(100)))
    assert len({holder.key for holder in holders}) == 1
    assert door.asked == 2


async def test_what_a_process_remembers_is_bounded(door: Door) -> None:
    """Any number of made-up ids leaves at most KNOWN_MAX of them in memory."""
    keys = door.keys()

    async def nothing(_: object) -> None:
        return None

    keys._ask = nothing  # type: ignore[assignment]
    for _ in range(KNOWN_MAX + 50):
        await refused(keys, new_key().text)
    assert len(keys._known) == KNOWN_MAX
    assert len(keys._asking) <= 1


async def test_the_last_use_is_noted_once_a_minute(door: Door) -> None:
    """A used key says when, to the minute; refused callers leave no trace on it."""
    key, keys = await door.make("tasks:read"), door.keys(cache_s=0)
    await refused(keys, ApiKey(key.key_id, new_key().secret).text)
    assert (await door.row(key))["last_used_at"] is None
    await keys.principal(key.text)
    noted = (await door.row(key))["last_used_at"]
    assert noted is not None
    for _ in range(5):
        door.ticks.now += 11
        await keys.principal(key.text)
    assert (await door.row(key))["last_used_at"] == noted
    await door.connection.execute(
        "update tasker_engine.api_keys set last_used_at = last_used_at - interval '2 minutes' where key_id = $1",
        key.key_id,
    )
    await keys.principal(key.text)
    assert (await door.row(key))["last_used_at"] >= noted


async def test_keys_of_another_secret_open_nothing(door: Door) -> None:
    """A row made without the server's secret, or under another one, is no key; under the previous one it is."""
    plain, other = server_secret(None), server_secret("the secret that was there before this one")
    forged, old = await door.make("tasks:read", secret=plain), await door.make("tasks:read", secret=other)
    await refused(door.keys(), forged.text)
    await refused(door.keys(), old.text)
    assert await door.keys(door.secret, other).principal(old.text)
    assert await door.keys(plain).principal(forged.text)


async def test_a_row_cannot_lend_its_digest_to_another(door: Door) -> None:
    """Whoever copies the digest of a key that he holds into the row of a mightier one gets nothing for it."""
    mine, mighty = await door.make("tasks:read"), await door.make(roles=["admin"])
    await door.connection.execute(
        "update tasker_engine.api_keys set digest = (select digest from tasker_engine.api_keys where key_id = $1) "
        "where key_id = $2", mine.key_id, mighty.key_id,
    )  # fmt: skip
    await refused(door.keys(), ApiKey(mighty.key_id, mine.secret).text)


async def test_a_role_that_is_no_more_lets_nobody_in(door: Door) -> None:
    """A key whose role the settings do not know is refused with a word on the role, rather than let in with less."""
    key = await door.make(roles=["clerk"])
    with pytest.raises(Forbidden, match='there is no role "clerk"'):
        await door.keys().principal(key.text)


async def rotated(door: Door, old: ApiKey, new: ApiKey, *, grace_s: float) -> None:
    """Another key takes the place of `old`."""
    stored = NewKey(
        key_id=new.key_id, name="shop", digest=door.secret.digest(new), secret_name=door.secret.name,
        permissions=(), roles=(), namespaces=None, expires_at=None,
    )  # fmt: skip
    said: dict[str, Any] = {"ends_with_maker": False, "grace_s": grace_s, "actor": "root", "maker": None}
    await reissue_key(door.connection, old.key_id, stored, **said)


async def test_rotation_gives_a_successor_and_a_time_to_change_over(door: Door) -> None:
    """The new key may what the old one may; the old one works until the grace is over, and cannot be rotated again."""
    old, new = await door.make("tasks:read", namespaces=["shop"]), new_key()
    await rotated(door, old, new, grace_s=600)
    keys = door.keys()
    one, two = await keys.principal(old.text), await keys.principal(new.text)
    assert (one.permissions, one.namespaces) == (two.permissions, two.namespaces)
    with pytest.raises(ActionForbidden, match="has ended, or another has taken its place"):
        await rotated(door, old, new_key(), grace_s=0)
    row = await door.row(old)
    assert row["revoked_at"] - (await door.row(new))["created_at"] == timedelta(seconds=600)
    await door.connection.execute("update tasker_engine.api_keys set revoked_at = now() where key_id = $1", old.key_id)
    assert "revoked" in str(await refused(door.keys(), old.text))
    listed = {key.key_id: key for key in await list_keys(door.connection, only_live=False, limit=10)}
    assert (listed[old.key_id].state, listed[new.key_id].replaces) == ("revoked", old.key_id)
    assert [key.key_id for key in await list_keys(door.connection, only_live=True, limit=10)] == [new.key_id]


async def test_revoking_can_only_bring_the_end_nearer(door: Door) -> None:
    """Revoked with a grace, then at once: it ends at once. The other way round it stays ended."""
    key = await door.make("tasks:read")
    await door.end(key.key_id, actor="a", grace_s=600)
    await door.end(key.key_id, actor="b")
    await refused(door.keys(), key.text)
    await door.end(key.key_id, actor="c", grace_s=600)
    await refused(door.keys(), key.text)
    assert (await door.row(key))["revoked_by"] == "b"
    with pytest.raises(ApiKeyNotFound, match="no API key zzz"):
        await door.end("zzz", actor="a")


def test_keys_are_random_and_of_one_shape() -> None:
    """A thousand keys are a thousand ids and secrets; a secret has more than 256 random bits."""
    keys = [new_key() for _ in range(1000)]
    assert len({key.key_id for key in keys}) == len({key.secret for key in keys}) == 1000
    counts = Counter("".join(key.secret for key in keys))
    total = sum(counts.values())
    bits = -sum(count / total * math.log2(count / total) for count in counts.values())
    assert len(keys[0].secret) * bits > 256
    assert all(parse_key(key.text) == key for key in keys)


def test_no_secret_is_shown_by_accident() -> None:
    """What is printed or logged of a key or of the server's secret has no secret in it."""
    key, secret = new_key(), server_secret("a secret that nobody may see at all")
    assert key.secret not in repr(key)
    assert "nobody" not in repr(secret)
    assert secret.digest(key).hex() not in repr(secret)


def test_a_short_secret_of_the_server_is_refused() -> None:
    """A secret that could be guessed protects nothing."""
    with pytest.raises(ValueError, match="fewer than 32"):
        server_secret("short")


def test_the_digest_depends_on_all_of_the_key_and_of_the_secret() -> None:
    """Another secret of the server, another id or another secret of the key: another digest."""
    key, secret = new_key(), server_secret("s" * 32)
    digest = secret.digest(key)
    assert matches(digest, key, secret)
    assert not matches(digest, key, server_secret("t" * 32))
    assert not matches(digest, key, server_secret(None))
    assert not matches(digest, ApiKey(new_key().key_id, key.secret), secret)
    assert not matches(digest, ApiKey(key.key_id, new_key().secret), secret)


async def test_a_dump_of_the_database_has_no_key(door: Door) -> None:
    """All that the tables know of a key, as text, neither contains its secret nor opens the door."""
    key = await door.make("tasks:read")
    dumped = str(dict(await door.row(key))) + await door.connection.fetchval(
        "select string_agg(k::text, '') from tasker_engine.api_keys k"
    )
    assert key.secret not in dumped
    assert SECRET not in dumped
    digest = (await door.row(key))["digest"].hex()
    await refused(door.keys(), f"tsk_{key.key_id}_{digest[:52]}")


def test_no_secret_is_compared_with_equals() -> None:
    """In this package `==` and `!=` never stand beside a digest, a secret or a signature."""
    secret = r"(digest|secret|signature)"
    compared = re.compile(rf"{secret}[\w.()\[\]]*\s*(==|!=)|(==|!=)\s*[\w.]*{secret}")
    assert compared.search("if row.digest == key.digest():")
    files = list(Path(keys_module.__file__).parent.glob("*.py"))
    assert len(files) > 3
    assert [file.name for file in files if compared.search(file.read_text())] == []
