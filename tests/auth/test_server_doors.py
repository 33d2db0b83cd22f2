"""Which door a request comes to: by key, by token, by the embedding application; and settings that make no door."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from doors import SECRET, Door
from mint import AUDIENCE, ISSUER, KEYS, NOW, Mint

from tasker.model.errors import Forbidden, SettingsError, Unauthenticated
from tasker.operations.principal import Principal
from tasker.server.auth.host import HostAuthenticator, host_principal, vouching_for
from tasker.server.auth.keys import new_key
from tasker.server.auth.roles import ROLES, all_roles
from tasker.server.auth.wiring import ByCredentials, authenticator
from tasker.settings import Settings


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """The issuer's public key."""
    file = tmp_path / "issuer.pem"
    file.write_bytes(KEYS["RS256"].as_pem(private=False))
    return file


def wired(door: Door, key_file: Path | None = None, **settings: Any) -> ByCredentials:
    """A server's authenticator with these settings."""
    settings = {"auth_api_key_secret": SECRET, **settings}
    if key_file is not None:
        settings = {
            "auth_jwt_key_files": [key_file], "auth_jwt_issuer": ISSUER, "auth_jwt_audience": AUDIENCE, **settings,
        }  # fmt: skip
    made = authenticator(Settings(**settings), door.ask)
    if made._tokens is not None:
        made._tokens._clock = lambda: NOW
    return made


async def test_a_key_or_a_token_opens_the_door(door: Door, key_file: Path) -> None:
    """A key in its header or as a bearer token, a token as a bearer token; nothing is nobody."""
    key, made = await door.make("tasks:read"), wired(door, key_file)
    for headers in (
        {"x-api-key": key.text},
        {"x-api-key": f" {key.text} "},
        {"authorization": f"Bearer {key.text}"},
        {"authorization": f"bearer  {key.text}", "x-api-key": key.text},
    ):
        principal = await made.authenticate(headers)
        assert principal is not None
        assert principal.key == key.key_id
    holder = await made.authenticate({"authorization": f"Bearer {Mint().token()}"})
    assert holder is not None
    assert holder.subject == "ann"
    for nothing in (
        {},
        {"authorization": "Basic YTpi"},
        {"authorization": "Bearer"},
        {"x-api-key": " "},
        {"cookie": "a=b"},
    ):
        assert await made.authenticate(nothing) is None


async def test_two_proofs_are_none(door: Door, key_file: Path) -> None:
    """A request with a key and a token of different callers is refused, whichever of them is good."""
    key = await door.make("tasks:read")
    headers = {"x-api-key": key.text, "authorization": f"Bearer {Mint().token()}"}
    with pytest.raises(Unauthenticated, match="not both") as caught:
        await wired(door, key_file).authenticate(headers)
    assert caught.value.reason == "malformed"


async def test_the_header_of_keys_may_have_another_name(door: Door) -> None:
    """The setting names it; the ordinary one then means nothing."""
    key, made = await door.make("tasks:read"), wired(door, auth_api_key_header="X-Tasker-Key")
    assert await made.authenticate({"x-tasker-key": key.text})
    assert await made.authenticate({"x-api-key": key.text}) is None


async def test_a_server_without_an_issuer_takes_no_tokens(door: Door) -> None:
    """Then any token is refused, also a good one of somebody."""
    with pytest.raises(Unauthenticated, match="takes no tokens"):
        await wired(door).authenticate({"authorization": f"Bearer {Mint().token()}"})


async def test_the_servers_secret_may_change(door: Door) -> None:
    """With the older secret as the previous one its keys still open; without it they do not."""
    key = await door.make("tasks:read")
    newer = "the server's secret of the next year"
    assert await wired(door, auth_api_key_secret=newer, auth_api_key_secret_previous=SECRET).authenticate(
        {"x-api-key": key.text}
    )
    with pytest.raises(Unauthenticated):
        await wired(door, auth_api_key_secret=newer).authenticate({"x-api-key": key.text})


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"auth_jwt_key_files": ["FILE"]}, "JWT_ISSUER and TASKER_AUTH_JWT_AUDIENCE"),
        ({"auth_jwt_key_files": ["FILE"], "auth_jwt_issuer": "i"}, "JWT_AUDIENCE"),
        ({"auth_jwt_issuer": "i", "auth_jwt_audience": "a"}, "no keys"),
        ({"auth_jwt_jwks_url": "http://i.example", "auth_jwt_issuer": "i", "auth_jwt_audience": "a"}, "no https"),
        ({"auth_jwt_key_files": ["FILE"], "auth_jwt_jwks_url": "https://i.example"}, "not both"),
        ({"auth_roles": {"clerk": ["tasks:raed"]}}, "did you mean tasks:read"),
        ({"auth_roles": {"clerk": ["*"]}}, r"no permission \"\*\""),
        ({"auth_api_key_secret": None, "auth_api_key_secret_previous": "s" * 32}, "SECRET is not"),
    ],
)
async def test_half_a_configuration_is_refused(
    door: Door, key_file: Path, settings: dict[str, Any], problem: str
) -> None:
    """What would leave a door open or never open is told before the server listens."""
    if "auth_jwt_key_files" in settings:
        settings = {**settings, "auth_jwt_key_files": [key_file]}
    with pytest.raises(SettingsError, match=problem):
        wired(door, **settings)


def test_the_settings_show_no_secret() -> None:
    """Settings that are printed or logged do not show the server's secret."""
    assert SECRET not in repr(Settings(auth_api_key_secret=SECRET))  # type: ignore[arg-type]


def test_roles_are_made_of_permissions_that_exist() -> None:
    """The built-in roles name only permissions; a role of the settings takes the place of one of that name."""
    assert set(all_roles({})) == {"viewer", "submitter", "operator", "worker", "admin"}
    assert all_roles({"viewer": ["tasks:list"]})["viewer"] == {"tasks:list"}
    assert not any(word.endswith(("create", "cancel", "resolve", "update", "*")) for word in ROLES["viewer"])
    assert "tasks:context_read" not in ROLES["viewer"]


ANN = host_principal("ann", permissions=["tasks:read"], namespaces=["shop"])


async def by_cookie(headers: Mapping[str, str]) -> Principal | None:
    """An application that knows the bearer of one cookie."""
    return ANN if headers.get("cookie") == "session=ann" else None


async def test_the_host_tells_who_calls(door: Door) -> None:
    """By its function, plain or a coroutine; whom it does not know may still have a key."""
    key = await door.make("tasks:read")
    made = HostAuthenticator(by_cookie, then=wired(door))
    assert await made.authenticate({"cookie": "session=ann"}) == ANN
    found = await made.authenticate({"cookie": "session=eve", "x-api-key": key.text})
    assert found is not None
    assert found.key == key.key_id
    assert await made.authenticate({}) is None
    assert await HostAuthenticator(lambda _: ANN).authenticate({}) == ANN
    assert await HostAuthenticator(lambda _: None).authenticate({"x-api-key": new_key().text}) is None


async def test_the_host_vouches_for_the_user_of_a_request() -> None:
    """Inside of `vouching_for` the caller is that user; outside, and for nobody, it is not."""
    made = HostAuthenticator()
    with vouching_for(ANN):
        assert await made.authenticate({}) == ANN
        with vouching_for(None):
            assert await made.authenticate({}) is None
    assert await made.authenticate({}) is None


SITE = {"cookie": "session=ann", "host": "app.example"}


@pytest.mark.parametrize(
    "more",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "https://app.example.evil.example"},
        {"origin": "null"},
        {"origin": "https://evil.example", "sec-fetch-site": "none"},
    ],
)
async def test_a_page_of_another_site_cannot_use_a_users_cookie(more: dict[str, str]) -> None:
    """A request that a browser sends for a foreign page is refused, although its cookie is good."""
    with pytest.raises(Forbidden, match="another site"):
        await HostAuthenticator(by_cookie).authenticate({**SITE, **more})


@pytest.mark.parametrize(
    "more",
    [{}, {"origin": "https://app.example"}, {"sec-fetch-site": "same-origin"}, {"origin": "https://friend.example"}],
)
async def test_pages_of_the_site_and_of_trusted_ones_may(more: dict[str, str]) -> None:
    """The application's own pages, programs, and sites that the application trusts."""
    made = HostAuthenticator(by_cookie, trusted_origins=["https://friend.example"])
    assert await made.authenticate({**SITE, **more}) == ANN
