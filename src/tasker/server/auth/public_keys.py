"""Public keys of an issuer of tokens: which may check a signature of which algorithm, and reading them from files.

That an algorithm fits a key is decided here and not left to the library: a key is for exactly one algorithm, whatever a
token says of itself. Symmetric keys are none of ours, so that nobody can sign with what is public.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import orjson
from joserfc import jwk
from joserfc.errors import JoseError

from tasker.model.errors import SettingsError

Algorithm = Literal["RS256", "ES256", "EdDSA"]
RSA_BITS_MIN = 2048
KEYS_MAX = 100
_CURVES: dict[tuple[str, str], Algorithm] = {("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that checks signatures of one algorithm. `key_id` None: it has no name, so it may be meant by any."""

    key_id: str | None
    algorithm: Algorithm
    key: jwk.Key = field(repr=False)


class KeySource(Protocol):
    """Where public keys come from: files, or what the issuer publishes."""

    async def keys(self, key_id: str | None) -> Sequence[PublicKey]:
        """Those that a token may be signed with which names this key, or none. Raises KeysUnavailable."""
        ...


class FixedKeys:
    """Keys that are what they are for the life of the process."""

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        self._keys = tuple(keys)

    async def keys(self, key_id: str | None) -> Sequence[PublicKey]:
        """Those of that name, and those without one."""
        return named(self._keys, key_id)


def named(keys: Iterable[PublicKey], key_id: str | None) -> list[PublicKey]:
    """The keys that a token means by this name; by no name, any of them."""
    return [key for key in keys if key_id is None or key.key_id is None or key.key_id == key_id]


def from_jwk(data: dict[str, Any]) -> PublicKey:
    """A public key from its JSON. Raises ValueError where it is not one that checks signatures of ours."""
    if data.get("kty") not in ("RSA", "EC", "OKP"):
        raise ValueError(f"a key of type {data.get('kty')!r} checks no signature of ours")
    if "d" in data:
        raise ValueError("it is a private key: publish and configure the public one alone")
    if data.get("use", "sig") != "sig" or "verify" not in data.get("key_ops", ["verify"]):
        raise ValueError("it is not for checking signatures")
    try:
        key = jwk.import_key(cast("Any", data))
        return _public_key(key, data.get("kid"), data.get("alg"))
    except (JoseError, TypeError, KeyError, ValueError) as error:
        raise ValueError(f"it cannot be read: {error}") from error


def from_pem(text: bytes) -> PublicKey:
    """A public key from PEM. Raises ValueError as `from_jwk` does."""
    if b"PRIVATE" in text:
        raise ValueError("it is a private key: give the server the public one alone")
    for kind in ("RSA", "EC", "OKP"):
        try:
            key = jwk.import_key(text, kind)
        except (JoseError, TypeError, ValueError):
            continue
        return _public_key(key, None, None)
    raise ValueError("it is neither PEM of an RSA, EC or Ed25519 public key nor JSON of keys")


def from_jwks(document: Any) -> tuple[list[PublicKey], list[str]]:
    """The keys of a set (`{"keys": [...]}`) or of one key, and why others are left out. Raises ValueError."""
    one_or_all = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    listed: Any = one_or_all.get("keys", [one_or_all] if "kty" in one_or_all else None)
    if not isinstance(listed, list) or len(cast("list[Any]", listed)) > KEYS_MAX:
        raise ValueError(f'it is no set of at most {KEYS_MAX} keys, such as {{"keys": [...]}}')
    keys: list[PublicKey] = []
    problems: list[str] = []
    for one in cast("list[Any]", listed):
        try:
            keys.append(from_jwk(cast("dict[str, Any]", one) if isinstance(one, dict) else {}))
        except ValueError as error:
            problems.append(str(error))
    return keys, problems


def from_files(paths: Iterable[Path]) -> list[PublicKey]:
    """The keys of files: PEM, JWK or JWKS. Raises SettingsError with the file and what is wrong in it."""
    found: list[PublicKey] = []
    for path in paths:
        try:
            found += _from_file(path.read_bytes())
        except (OSError, ValueError) as error:
            raise SettingsError(f"TASKER_AUTH_JWT_KEY_FILES: {path}: {error}") from error
    return found


def _from_file(text: bytes) -> list[PublicKey]:
    if not text.lstrip().startswith(b"{"):
        return [from_pem(text)]
    keys, problems = from_jwks(orjson.loads(text))
    if problems:
        raise ValueError("; ".join(problems))
    return keys


def _public_key(key: jwk.Key, key_id: object, said: object) -> PublicKey:
    algorithm = algorithm_of(key)
    if said is not None and said != algorithm:
        raise ValueError(f"it says that it is for {said}, and its type is for {algorithm}")
    if key_id is not None and (not isinstance(key_id, str) or not 0 < len(key_id) <= 256):
        raise ValueError("its kid is no name of 1 to 256 characters")
    return PublicKey(key_id, algorithm, key)


def algorithm_of(key: jwk.Key) -> Algorithm:
    """The one algorithm that a key is for. Raises ValueError where that is none of ours."""
    if isinstance(key, jwk.RSAKey):
        bits = key.public_key.key_size
        if bits < RSA_BITS_MIN:
            raise ValueError(f"an RSA key of {bits} bits is too weak: at least {RSA_BITS_MIN}")
        return "RS256"
    curve = str(key.get("crv"))
    algorithm = _CURVES.get((key.key_type, curve))
    if algorithm is None:
        raise ValueError(f"the curve {curve} is for none of RS256, ES256, EdDSA")
    return algorithm
