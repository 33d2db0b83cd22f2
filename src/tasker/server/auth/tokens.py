"""Letting in the holders of tokens: JSON Web Tokens, signed by an issuer whose public keys are known.

Everything in a token is an attacker's text until its signature has been checked; so shape, sizes and header come first,
and are refused rather than mended. What a token says of where to find its key, or of extensions that have to be
understood, spoils it. The signature itself is the library's to check, with one key and one algorithm that we chose.
"""

from __future__ import annotations

import base64
import json
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning

from tasker.model.errors import Forbidden, SettingsError, Unauthenticated
from tasker.operations.permissions import is_known
from tasker.operations.principal import Principal
from tasker.server.auth.public_keys import KeySource, PublicKey
from tasker.server.auth.roles import checked, of_roles

TOKEN_BYTES_MAX = 8_192
HEADER_BYTES_MAX = 512
WORDS_MAX = 200
TRIED_KEYS_MAX = 4
_TYPES = {"jwt", "at+jwt", "application/at+jwt"}
_HEADER = {"alg", "typ", "kid", "x5t", "x5t#S256"}
# RFC 9864 prefers the name Ed25519; issuers still say EdDSA, and our keys for it are of that curve alone.
warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What a token has to be; see the settings `auth_jwt_*`."""

    algorithms: frozenset[str]
    issuer: str
    audience: str
    required_claims: frozenset[str] = frozenset()
    leeway_s: float = 30
    permissions_claim: str = "permissions"
    roles_claim: str = "roles"
    namespaces_claim: str = "namespaces"
    namespaces_default: tuple[str, ...] = ()
    is_strict: bool = True


class Tokens:
    """The tokens of one issuer."""

    def __init__(
        self,
        source: KeySource,
        rules: TokenRules,
        *,
        roles: Mapping[str, frozenset[str]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source, self._rules, self._roles, self._clock = source, rules, roles, clock

    async def principal(self, text: str) -> Principal:
        """Who holds this token. Raises Unauthenticated, Forbidden for what it grants, KeysUnavailable."""
        return self._holder(await self.claims(text))

    async def claims(self, text: str) -> dict[str, Any]:
        """What the issuer says in a token that is good now. Raises Unauthenticated, KeysUnavailable."""
        header, payload = _opened(text)
        algorithm, key_id = _checked_header(header, self._rules.algorithms)
        keys = [key for key in await self._source.keys(key_id) if key.algorithm == algorithm]
        if not any(_is_signed(text, key) for key in keys[:TRIED_KEYS_MAX]):
            _refuse("the token is not signed by a key that is known here")
        claims = _strict_json(payload)
        self._check_times(claims)
        self._check_claims(claims)
        return claims

    def _check_times(self, claims: dict[str, Any]) -> None:
        now, leeway_s = self._clock(), self._rules.leeway_s
        if now >= _moment(claims, "exp") + leeway_s:
            _refuse("the token has expired", "expired")
        for name in ("nbf", "iat"):
            if name in claims and _moment(claims, name) > now + leeway_s:
                _refuse(f"the token is not valid yet: its {name} lies ahead")

    def _check_claims(self, claims: dict[str, Any]) -> None:
        if claims.get("iss") != self._rules.issuer:
            _refuse("the token is of another issuer")
        audience: Any = claims.get("aud")
        if self._rules.audience not in (cast("list[Any]", audience) if isinstance(audience, list) else [audience]):
            _refuse("the token is for another audience")
        missing = sorted(name for name in self._rules.required_claims if claims.get(name) in (None, "", []))
        if missing:
            _refuse(f"the token lacks {', '.join(missing)}")
        subject: Any = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 256 or not subject.isprintable():
            _refuse("the token names no subject (sub) of 1 to 256 printable characters")

    def _holder(self, claims: dict[str, Any]) -> Principal:
        rules = self._rules
        namespaces = _words(claims, rules.namespaces_claim, rules.namespaces_default)
        words = _words(claims, rules.permissions_claim)
        roles = _words(claims, rules.roles_claim)
        if not rules.is_strict:
            words, roles = list(filter(is_known, words)), [role for role in roles if role in self._roles]
        try:
            permissions = frozenset(checked(words, "the token")) | of_roles(roles, self._roles)
        except SettingsError as error:
            raise Forbidden(f"what the token may is not known here: {error}") from error
        return Principal(
            subject=claims["sub"],
            permissions=permissions,
            namespaces=None if "*" in namespaces else frozenset(namespaces),
            kind="jwt",
        )


def _opened(text: str) -> tuple[dict[str, Any], bytes]:
    """The header, and the bytes of the payload."""
    if len(text) > TOKEN_BYTES_MAX:
        _refuse(f"a token has at most {TOKEN_BYTES_MAX} characters", "malformed")
    segments = text.split(".")
    if len(segments) != 3:
        _refuse("this is no token: one has three parts with dots between them", "malformed")
    header, payload, _ = (_bytes(segment) for segment in segments)
    if len(header) > HEADER_BYTES_MAX:
        _refuse("the token's header is too long", "malformed")
    return _strict_json(header), payload


def _bytes(segment: str) -> bytes:
    """Base64 of URLs in its one right spelling."""
    try:
        decoded = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        decoded = b""
    if not decoded or base64.urlsafe_b64encode(decoded).rstrip(b"=") != segment.encode():
        _refuse("a part of the token is not base64 as tokens have it", "malformed")
    return decoded


def _strict_json(text: bytes) -> dict[str, Any]:
    """A JSON object, no key of which comes twice: two readers of a token must not see two things."""
    try:
        value = json.loads(text.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        _refuse("a part of the token is no JSON object with each key once", "malformed")
    if not isinstance(value, dict):
        _refuse("a part of the token is no JSON object", "malformed")
    return cast("dict[str, Any]", value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key comes twice")
    return made


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def _checked_header(header: dict[str, Any], allowed: frozenset[str]) -> tuple[str, str | None]:
    """Algorithm and name of the key."""
    unknown = header.keys() - _HEADER
    if unknown:
        _refuse("the token's header asks for what is not done here (its key in itself, extensions, encryption)")
    algorithm: Any = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in allowed:
        _refuse(f"the token is not signed by {', '.join(sorted(allowed))}")
    kind: Any = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        _refuse("the token is of another type: it is no access token")
    key_id: Any = header.get("kid")
    if key_id is not None and not (isinstance(key_id, str) and 0 < len(key_id) <= 256):
        _refuse("the token names its key by something that is no name", "malformed")
    return algorithm, key_id


def _is_signed(text: str, key: PublicKey) -> bool:
    registry = jws.JWSRegistry(algorithms=[key.algorithm], strict_check_header=False)
    try:
        jws.deserialize_compact(text, key.key, algorithms=[key.algorithm], registry=registry)
    except (JoseError, ValueError, TypeError):
        return False
    return True


def _moment(claims: dict[str, Any], name: str) -> float:
    """A time in seconds since 1970."""
    value: Any = claims.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value < 2**40:
        _refuse(f"the token says no time as {name}")
    return float(value)


def _words(claims: dict[str, Any], name: str, default: Sequence[str] = ()) -> list[str]:
    """A list of words, or words with spaces between them."""
    value: Any = claims.get(name)
    if value is None:
        return list(default)
    words: Any = value.split() if isinstance(value, str) else value
    if not isinstance(words, list):
        _refuse(f"the token's {name} is no list of words")
    found = cast("list[Any]", words)
    if len(found) > WORDS_MAX or not all(isinstance(word, str) and 0 < len(word) <= 256 for word in found):
        _refuse(f"the token's {name} is no list of at most {WORDS_MAX} words")
    return found


def _refuse(message: str, reason: str = "invalid") -> NoReturn:
    raise Unauthenticated(message, reason)
