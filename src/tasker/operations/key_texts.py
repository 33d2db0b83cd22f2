"""The text of API keys, and the digest under which the database knows them.

A key is `tsk_ID_SECRET`: an id of 60 random bits, by which it is found and shown in lists, and a secret of 256. The
database has a digest of the secret, never the secret. The digest is HMAC-SHA-256 under the server's own secret where
the settings have one: then whoever can write to the database cannot make a key. It is a fast hash on purpose: slow ones
protect passwords that people choose, and 256 random bits cannot be guessed at any speed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

from tasker.model.errors import SettingsError, Unauthenticated
from tasker.settings import Settings

MARK = "tsk"
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_ID_LENGTH, _SECRET_LENGTH = 12, 52
KEY_ID = rf"^[{_ALPHABET}]{{{_ID_LENGTH}}}$"
"""What the id of a key looks like."""
_SHAPE = re.compile(rf"{MARK}_([{_ALPHABET}]{{{_ID_LENGTH}}})_([{_ALPHABET}]{{{_SECRET_LENGTH}}})")
_DIGEST = b"tasker api key digest v1"
_NAME = b"tasker api key secret name v1"
UNKEYED = "none"
"""The name of no secret at all."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key in clear: shown once, then known to its holder alone."""

    key_id: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """What its holder sends."""
        return f"{MARK}_{self.key_id}_{self.secret}"


def new_key(key_id: str | None = None) -> ApiKey:
    """A key that nobody has seen, of that id where one is given; five random bits a character."""
    return ApiKey(key_id or _random(_ID_LENGTH), _random(_SECRET_LENGTH))


def parse_key(text: str) -> ApiKey:
    """The key that a caller sent. Raises Unauthenticated (malformed), which does not repeat it."""
    shaped = _SHAPE.fullmatch(text)
    if shaped is None:
        raise Unauthenticated(f"this is no API key: one is {MARK}_, an id, _ and a secret", "malformed")
    return ApiKey(shaped[1], shaped[2])


@dataclass(frozen=True, slots=True)
class ServerSecret:
    """What digests are keyed with. `name` says which secret that was, and tells nothing of it."""

    name: str
    _value: bytes = field(repr=False)

    def digest(self, key: ApiKey) -> bytes:
        """32 bytes, which the database keeps. The id is in it: no row can lend its digest to another."""
        return hmac.digest(self._value, b"\0".join((_DIGEST, key.key_id.encode(), key.secret.encode())), "sha256")


def server_secret(value: str | None) -> ServerSecret:
    """The secret of the settings; without one digests are plain hashes. At least 32 characters, or ValueError."""
    if value is None:
        return ServerSecret(UNKEYED, b"")
    if len(value) < 32:
        raise ValueError("the server's secret has fewer than 32 characters: make one with `openssl rand -hex 32`")
    name = hmac.digest(value.encode(), _NAME, "sha256").hex()[:16]
    return ServerSecret(name, hashlib.sha256(value.encode()).digest())


def secrets_of(settings: Settings) -> tuple[ServerSecret, ...]:
    """The server's secret for new keys, and after it the one that older keys may still be made under."""
    now, before = settings.auth_api_key_secret, settings.auth_api_key_secret_previous
    if now is None and before is not None:
        raise SettingsError("TASKER_AUTH_API_KEY_SECRET_PREVIOUS is set and TASKER_AUTH_API_KEY_SECRET is not")
    values = [None if now is None else now.get_secret_value()]
    return tuple(server_secret(value) for value in [*values, *([before.get_secret_value()] if before else [])])


def matches(digest: bytes, key: ApiKey, secret: ServerSecret) -> bool:
    """Whether this is the key of that digest, in a time that does not depend on where they differ."""
    return hmac.compare_digest(digest, secret.digest(key))


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
