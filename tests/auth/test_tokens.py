"""Tokens: honest ones open the door for what they grant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk
from mint import AUDIENCE, KEYS, NOW, Mint, claims, known, public, tokens

from tasker.model.errors import Forbidden, SettingsError, Unauthenticated
from tasker.server.auth.public_keys import FixedKeys, from_files, from_jwk, from_jwks, from_pem

pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")


@pytest.mark.parametrize("algorithm", KEYS)
async def test_an_honest_token_opens_the_door(algorithm: str) -> None:
    """The holder has the subject, permissions and namespaces that the issuer signed, by each algorithm."""
    holder = await tokens().principal(Mint(algorithm).token())
    assert (holder.subject, holder.kind, holder.key) == ("ann", "jwt", None)
    assert (holder.permissions, holder.namespaces) == ({"tasks:read"}, {"shop"})


@pytest.mark.parametrize(
    ("granted", "permissions", "namespaces"),
    [
        ({"permissions": "tasks:read steps:read"}, {"tasks:read", "steps:read"}, {"shop"}),
        ({"permissions": ["tasks:*"], "namespaces": "shop store"}, {"tasks:*"}, {"shop", "store"}),
        ({"roles": ["clerk"], "permissions": None}, {"dlq:read", "dlq:stats"}, {"shop"}),
        ({"namespaces": ["*"]}, {"tasks:read"}, None),
        ({"namespaces": None}, {"tasks:read"}, set()),
        ({"permissions": None}, set(), {"shop"}),
    ],
)
async def test_claims_grant_permissions_roles_and_namespaces(
    granted: dict[str, Any], permissions: set[str], namespaces: set[str] | None
) -> None:
    """Lists or words with spaces; a role is what the settings say; what is not granted is not had."""
    holder = await tokens(roles={"clerk": ["dlq:read", "dlq:stats"]}).principal(Mint().token(**granted))
    assert (holder.permissions, holder.namespaces) == (permissions, namespaces)


async def test_claims_may_have_other_names() -> None:
    """The settings say which claims hold permissions, roles and namespaces, and what is meant by no namespaces."""
    door = tokens(
        permissions_claim="https://tasker/permissions",
        roles_claim="groups",
        namespaces_claim="worker_namespaces",
        namespaces_default=("*",),
    )
    said = {"https://tasker/permissions": ["dlq:read"], "groups": ["submitter"], "permissions": ["tasks:*"]}
    holder = await door.principal(Mint().token(**said))
    assert holder.permissions == {"dlq:read", "tasks:create", "tasks:read", "templates:read"}
    assert holder.namespaces is None
    assert (await door.principal(Mint().token(worker_namespaces=["a"]))).namespaces == {"a"}


@pytest.mark.parametrize("grant", [{"permissions": ["*"]}, {"permissions": ["task:read"]}, {"roles": ["cleark"]}])
async def test_an_unknown_word_spoils_a_strict_token_alone(grant: dict[str, Any]) -> None:
    """A permission or role that is none is told to the caller; where the settings let it pass it grants nothing."""
    text = Mint().token(**{"permissions": None, **grant})
    with pytest.raises(Forbidden, match=r"there is no (permission|role)"):
        await tokens().principal(text)
    assert (await tokens(is_strict=False).principal(text)).permissions == set()


async def test_clocks_may_differ_by_the_leeway() -> None:
    """Just expired and just not valid yet pass within the leeway, and not beyond it."""
    for said in ({"exp": NOW - 29}, {"nbf": NOW + 30, "iat": NOW + 30}):
        assert await tokens().principal(Mint().token(**said))
    for said, reason in (
        ({"exp": NOW - 30}, "expired"),
        ({"nbf": NOW + 31}, "invalid"),
        ({"iat": NOW + 31}, "invalid"),
    ):
        with pytest.raises(Unauthenticated) as caught:
            await tokens().principal(Mint().token(**said))
        assert caught.value.reason == reason


async def test_one_audience_among_several_is_enough() -> None:
    """`aud` may be a list."""
    assert await tokens().principal(Mint().token(aud=["other", AUDIENCE]))


async def test_keys_without_a_name_serve_every_token_of_their_algorithm() -> None:
    """A key from a PEM file has no kid: a token finds it by its algorithm, whatever name it gives."""
    door = tokens(FixedKeys([from_pem(KEYS[name].as_pem(private=False)) for name in KEYS]))
    for name in KEYS:
        assert await door.principal(Mint(name).token())
        assert await door.principal(Mint(name, header={"kid": None}).token())


async def test_a_token_without_a_key_name_finds_one_of_several() -> None:
    """While an issuer has two keys of an algorithm, a token that names none is held against both."""
    other = jwk.ECKey.generate_key("P-256", {"kid": "older"})
    door = tokens(FixedKeys([from_jwk(public(other)), *known()]))
    assert await door.principal(Mint("ES256", header={"kid": None}).token())
    assert await door.principal(Mint("ES256", key=other, header={"kid": None}).token())


def test_files_hold_pem_or_json_of_keys(tmp_path: Path) -> None:
    """PEM, one JWK and a whole JWKS are read; what is wrong is told with the file's name."""
    pem, one, several = tmp_path / "a.pem", tmp_path / "b.json", tmp_path / "c.json"
    pem.write_bytes(KEYS["RS256"].as_pem(private=False))
    one.write_text(json.dumps(public(KEYS["ES256"])))
    several.write_text(json.dumps({"keys": [public(KEYS["EdDSA"]), public(KEYS["RS256"])]}))
    found = from_files([pem, one, several])
    assert [(key.algorithm, key.key_id) for key in found] == [
        ("RS256", None), ("ES256", "ec"), ("EdDSA", "ed"), ("RS256", "rsa"),
    ]  # fmt: skip
    with pytest.raises(SettingsError, match=r"missing\.pem"):
        from_files([tmp_path / "missing.pem"])


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: from_pem(KEYS["RS256"].as_pem(private=True)), "private"),
        (lambda: from_pem(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"), "neither PEM"),
        (lambda: from_jwk(KEYS["ES256"].as_dict(private=True)), "private"),
        (lambda: from_jwk({"kty": "oct", "k": "c2VjcmV0"}), "checks no signature"),
        (lambda: from_jwk(public(KEYS["RS256"], use="enc")), "not for checking"),
        (lambda: from_jwk(public(KEYS["RS256"], key_ops=["encrypt"])), "not for checking"),
        (lambda: from_jwk(public(KEYS["RS256"], alg="HS256")), "says that it is for HS256"),
        (lambda: from_jwk(public(KEYS["RS256"], alg="ES256")), "says that it is for ES256"),
        (lambda: from_jwk(public(jwk.ECKey.generate_key("P-384"))), "for none of"),
        (lambda: from_jwk(public(jwk.ECKey.generate_key("secp256k1"))), "for none of"),
        (lambda: from_jwk(public(jwk.OKPKey.generate_key("X25519"))), "for none of"),
        (lambda: from_jwk(public(jwk.RSAKey.generate_key(1024, auto_kid=False))), "too weak"),
        (lambda: from_jwk({"kty": "RSA", "n": "!!", "e": "AQAB"}), "cannot be read"),
        (lambda: from_jwks({"keys": [{}] * 101}), "at most 100"),
        (lambda: from_jwks({}), "no set"),
        (lambda: from_jwks([]), "no set"),
    ],
)
def test_a_key_that_must_not_check_signatures_is_refused(make: Any, problem: str) -> None:
    """Private, symmetric, weak, encrypting keys, and those whose type is not that of their algorithm."""
    with pytest.raises(ValueError, match=problem):
        make()


async def test_required_claims_have_to_be_there() -> None:
    """A claim that the settings require is required, and an empty one does not count."""
    door = tokens(required_claims=frozenset({"tenant"}))
    assert await door.principal(Mint().token(tenant="a"))
    for said in (claims(), claims(tenant=""), claims(tenant=[])):
        with pytest.raises(Unauthenticated, match="lacks tenant"):
            await door.principal(Mint().token(said))
