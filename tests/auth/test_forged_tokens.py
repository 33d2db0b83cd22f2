"""Forged tokens: none opens the door. The count is printed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwk
from mint import ISSUER, KEYS, NOW, Mint, b64, claims, known, public, signed, tokens

from tasker.model.errors import TaskerError, Unauthenticated
from tasker.server.auth.public_keys import FixedKeys, from_pem

RSA, EC, ED = KEYS["RS256"], KEYS["ES256"], KEYS["EdDSA"]
STRANGER = jwk.RSAKey.generate_key(2048, {"kid": "rsa"})
BODY = json.dumps(claims()).encode()

pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")


def parts(token: str) -> list[str]:
    return token.split(".")


def unsigned(algorithm: Any, signature: str = "", **header: Any) -> str:
    return f"{b64(json.dumps({'alg': algorithm, 'typ': 'JWT', **header}).encode())}.{b64(BODY)}.{signature}"


def keyed_with(secret: bytes, algorithm: str = "HS256", digest: str = "sha256") -> str:
    """Signed by HMAC with what everybody may know."""
    text = f"{b64(json.dumps({'alg': algorithm, 'typ': 'JWT', 'kid': 'rsa'}).encode())}.{b64(BODY)}"
    return f"{text}.{b64(hmac.digest(secret, text.encode(), digest))}"


def honest(algorithm: str = "RS256", **changes: Any) -> str:
    return Mint(algorithm).token(**changes)


def with_header(**header: Any) -> str:
    return Mint(header=header).token()


def with_body(text: str) -> str:
    return Mint().token(text.encode())


def with_other_claims() -> str:
    """The signature of an honest token under other claims."""
    head, _, signature = parts(honest())
    return f"{head}.{b64(json.dumps(claims(permissions=['tasks:*'])).encode())}.{signature}"


def flipped(token: str, part: int) -> str:
    """One bit of a part is another."""
    segments = parts(token)
    data = bytearray(base64.urlsafe_b64decode(segments[part] + "=="))
    data[len(data) // 2] ^= 1
    segments[part] = b64(bytes(data))
    return ".".join(segments)


def other_spelling(token: str) -> str:
    """The same signature, spelled with padding bits that mean nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


PEM = RSA.as_pem(private=False)
EVERY_HEADER = {"alg", "typ", "kid", "jku"}
TWICE = b'{"alg": "none", "kid": "rsa", "alg": "RS256"}'
FORGED: dict[str, Callable[[], str]] = {
    "alg none, no signature": lambda: unsigned("none"),
    "alg none, with a signature": lambda: unsigned("none", parts(honest())[2]),
    "alg NoNe": lambda: unsigned("NoNe", b64(b"x")),
    "alg NONE": lambda: unsigned("NONE", b64(b"x")),
    "alg empty": lambda: unsigned("", b64(b"x")),
    "alg missing": lambda: f"{b64(b'{}')}.{b64(BODY)}.{b64(b'x')}",
    "alg null": lambda: unsigned(None, b64(b"x")),
    "alg a list": lambda: unsigned(["RS256"], parts(honest())[2]),
    "alg in lower case": lambda: unsigned("rs256", parts(honest())[2]),
    "HS256 with the public PEM as secret": lambda: keyed_with(PEM),
    "HS256 with the public PEM without its last line end": lambda: keyed_with(PEM.rstrip()),
    "HS256 with the public key's DER": lambda: keyed_with(RSA.as_der(private=False)),
    "HS256 with the public JWK": lambda: keyed_with(json.dumps(public(RSA)).encode()),
    "HS256 with the modulus": lambda: keyed_with(public(RSA)["n"].encode()),
    "HS256 with an empty secret": lambda: keyed_with(b""),
    "HS512 with the public PEM as secret": lambda: keyed_with(PEM, "HS512", "sha512"),
    "RS256 in name, HMAC in fact": lambda: keyed_with(PEM, "RS256"),
    "PS256 by the right RSA key": lambda: Mint("PS256", key=RSA).token(),
    "RS384 by the right RSA key": lambda: Mint("RS384", key=RSA).token(),
    "RS256 in name, signed by PS256": lambda: swap_head(Mint("PS256", key=RSA).token(), RSA),
    "signed by a stranger under the right kid": lambda: Mint(key=STRANGER).token(),
    "signed by a stranger, kid of another algorithm's key": lambda: Mint(key=STRANGER, header={"kid": "ec"}).token(),
    "the right key under a kid that there is not": lambda: with_header(kid="nobody"),
    "kid of the EC key, signed by the RSA key": lambda: with_header(kid="ec"),
    "kid a path": lambda: with_header(kid="../../../../dev/null"),
    "kid SQL": lambda: with_header(kid="rsa' or '1'='1"),
    "kid a command": lambda: with_header(kid="rsa|cat /etc/passwd"),
    "kid empty": lambda: with_header(kid=""),
    "kid a number": lambda: with_header(kid=1),
    "kid very long": lambda: with_header(kid="k" * 300),
    "jwk in the header": lambda: Mint(key=STRANGER, header={"jwk": public(STRANGER)}).token(),
    "jku in the header": lambda: Mint(key=STRANGER, header={"jku": "https://evil.example/jwks"}).token(),
    "jku in the header, signed by the right key": lambda: with_header(jku="https://evil.example/jwks"),
    "x5u in the header": lambda: with_header(x5u="https://evil.example/cert"),
    "x5c in the header": lambda: with_header(x5c=["MIIB"]),
    "crit": lambda: with_header(crit=["exp"]),
    "crit empty": lambda: with_header(crit=[]),
    "b64 false": lambda: with_header(b64=False, crit=["b64"]),
    "zip": lambda: with_header(zip="DEF"),
    "enc, as if encrypted": lambda: with_header(enc="A256GCM"),
    "five parts": lambda: honest() + ".AAAA.AAAA",
    "two parts": lambda: ".".join(parts(honest())[:2]),
    "four parts": lambda: honest() + ".AAAA",
    "signature empty": lambda: ".".join([*parts(honest())[:2], ""]),
    "signature of another token": lambda: ".".join([*parts(honest(sub="eve"))[:2], parts(honest())[2]]),
    "other claims under the signature": with_other_claims,
    "a bit of the claims": lambda: flipped(honest(), 1),
    "a bit of the signature": lambda: flipped(honest(), 2),
    "a bit of the ECDSA signature": lambda: flipped(honest("ES256"), 2),
    "a bit of the EdDSA signature": lambda: flipped(honest("EdDSA"), 2),
    "ECDSA of zeros": lambda: ".".join([*parts(honest("ES256"))[:2], b64(bytes(64))]),
    "ECDSA in DER": lambda: ".".join([*parts(honest("ES256"))[:2], b64(b"0\x06\x02\x01\x01\x02\x01\x01")]),
    "EdDSA of zeros": lambda: ".".join([*parts(honest("EdDSA"))[:2], b64(bytes(64))]),
    "another spelling of the signature": lambda: other_spelling(honest()),
    "padding in base64": lambda: honest("ES256") + "==",
    "ordinary base64": lambda: "+/" + honest()[2:],
    "white space inside": lambda: honest()[:20] + "\n" + honest()[20:],
    "other digits": lambda: honest().replace("e", "е", 1),  # noqa: RUF001 - a Cyrillic letter
    "expired": lambda: honest(exp=NOW - 31),
    "expired long ago, by another name of the time": lambda: honest(exp=None, expires=NOW + 600),
    "no exp": lambda: honest(exp=None),
    "exp a text": lambda: honest(exp=str(NOW + 600)),
    "exp true": lambda: honest(exp=True),
    "exp in milliseconds": lambda: honest(exp=NOW * 1000),
    "exp infinite": lambda: with_body(json.dumps(claims()).replace(str(NOW + 600), "1e999")),
    "exp Infinity": lambda: with_body(json.dumps(claims()).replace(str(NOW + 600), "Infinity")),
    "exp of five thousand digits": lambda: with_body(json.dumps(claims()).replace(str(NOW + 600), "9" * 5000)),
    "exp negative": lambda: honest(exp=-1),
    "not valid yet": lambda: honest(nbf=NOW + 31),
    "nbf a text": lambda: honest(nbf="yesterday"),
    "issued in the future": lambda: honest(iat=NOW + 31),
    "wrong issuer": lambda: honest(iss="https://evil.example"),
    "issuer with a slash more": lambda: honest(iss=ISSUER + "/"),
    "no issuer": lambda: honest(iss=None),
    "issuer a list": lambda: honest(iss=[ISSUER]),
    "wrong audience": lambda: honest(aud="other"),
    "audience in other case": lambda: honest(aud="Tasker"),
    "no audience": lambda: honest(aud=None),
    "audience an empty list": lambda: honest(aud=[]),
    "audience true": lambda: honest(aud=True),
    "audience a part": lambda: honest(aud="taskers"),
    "an ID token": lambda: honest(aud="client-17", nonce="n"),
    "typ of another kind": lambda: with_header(typ="logout+jwt"),
    "typ an object": lambda: with_header(typ={"a": 1}),
    "no subject": lambda: honest(sub=None),
    "subject empty": lambda: honest(sub=""),
    "subject with a line end": lambda: honest(sub="ann\nERROR all is lost"),
    "subject very long": lambda: honest(sub="a" * 300),
    "subject a number": lambda: honest(sub=7),
    "duplicated claims": lambda: with_body(json.dumps(claims())[:-1] + ', "sub": "root"}'),
    "duplicated permissions": lambda: with_body(json.dumps(claims())[:-1] + ', "permissions": ["tasks:*"]}'),
    "duplicated alg": lambda: ".".join([b64(TWICE), *parts(honest())[1:]]),
    "permissions an object": lambda: honest(permissions={"tasks:read": True}),
    "permissions of numbers": lambda: honest(permissions=[1]),
    "permissions a star": lambda: honest(permissions=["*"]),
    "ten thousand permissions": lambda: honest(permissions=["tasks:read"] * 10_000),
    "namespaces true": lambda: honest(namespaces=True),
    "claims a list": lambda: with_body("[]"),
    "claims null": lambda: with_body("null"),
    "claims not JSON": lambda: with_body("{"),
    "claims not UTF-8": lambda: Mint().token(b"\xff\xfe"),
    "claims very deep": lambda: with_body('{"a":' * 3000 + "1" + "}" * 3000),
    "huge": lambda: honest(sub="a" * 2_000_000),
    "a long header": lambda: with_header(x5t="a" * 600),
    "empty": lambda: "",
    "dots": lambda: "..",
    "an API key": lambda: "tsk_" + "a" * 12 + "_" + "a" * 52,
    "a serialised object": lambda: json.dumps({"payload": b64(BODY), "signatures": []}),
}  # fmt: skip


def swap_head(token: str, key: Any) -> str:
    """The token's signature under a header that says RS256."""
    head = b64(json.dumps({"alg": "RS256", "typ": "JWT", "kid": key.kid}).encode())
    return ".".join([head, *parts(token)[1:]])


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_token_opens_nothing(name: str) -> None:
    """Each way to forge a token is refused with an error of ours, whose message repeats nothing of the token."""
    text = FORGED[name]()
    for source in (FixedKeys(known()), FixedKeys([from_pem(PEM)])):
        if (
            name.startswith(("kid", "the right key under", "signed by a stranger, kid"))
            and source._keys[0].key_id is None
        ):
            continue  # a key from a PEM file has no name that could be wrong
        with pytest.raises(TaskerError) as caught:
            await tokens(source).principal(text)
        assert isinstance(caught.value, Unauthenticated) or "no permission" in str(caught.value)
        assert len(text) < 20 or not any(part in str(caught.value) for part in parts(text) if part)


async def test_none_of_all_forgeries_is_accepted() -> None:
    """The whole table at once, and how many there are: at least 25, none accepted, beside an honest one that is."""
    accepted = [name for name, forge in FORGED.items() if await is_accepted(forge())]
    print(f"\n{len(FORGED)} forged tokens, {len(accepted)} accepted")
    assert (len(FORGED) >= 25, accepted) == (True, [])
    assert await is_accepted(honest())


def no_check(*_: object) -> bool:
    return True


@pytest.mark.parametrize(
    ("check", "instead", "accepted"),
    [
        ("_is_signed", no_check, "signed by a stranger under the right kid"),
        ("_once", dict, "duplicated claims"),
        ("_HEADER", EVERY_HEADER, "jku in the header, signed by the right key"),
        ("_TYPES", {"jwt", "logout+jwt"}, "typ of another kind"),
        ("Tokens._check_times", no_check, "expired"),
        ("Tokens._check_claims", no_check, "wrong audience"),
    ],
)
async def test_each_check_is_needed(check: str, instead: Any, accepted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any one of the checks, a forgery of the table gets in: none of them is there for nothing."""
    assert not await is_accepted(FORGED[accepted]())
    monkeypatch.setattr(f"tasker.server.auth.tokens.{check}", instead)
    assert await is_accepted(FORGED[accepted]())


async def test_an_algorithm_that_the_settings_leave_out_counts_for_nothing() -> None:
    """Where only ES256 is allowed, an honest RS256 token of the same issuer is refused."""
    door = tokens(algorithms=frozenset({"ES256"}))
    assert await door.principal(honest("ES256"))
    with pytest.raises(Unauthenticated):
        await door.principal(honest("RS256"))


async def test_a_key_checks_signatures_of_its_own_algorithm_alone() -> None:
    """A key in a set that carries another's algorithm in its name, or none, is not tried for it."""
    body = json.dumps(claims()).encode()
    digest = hashlib.sha256(PEM).hexdigest()
    for header in ({"alg": "ES256", "kid": "rsa"}, {"alg": "EdDSA", "kid": "rsa"}, {"alg": "RS256", "kid": digest}):
        assert not await is_accepted(
            signed({**header, "typ": "JWT"}, body, {"ES256": EC, "EdDSA": ED}.get(header["alg"], RSA))
        )


async def is_accepted(text: str) -> bool:
    """Whether the door opens."""
    try:
        await tokens().principal(text)
    except TaskerError:
        return False
    return True
