"""A small issuer of tokens, for tests, development, and installations without another one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

import orjson
from joserfc import jwk, jws
from joserfc.errors import JoseError

from tasker.model.errors import SettingsError
from tasker.server.auth.public_keys import Algorithm, algorithm_of
from tasker.server.auth.tokens import TOKEN_BYTES_MAX


def new_private_key(algorithm: Algorithm) -> jwk.Key:
    """A key to sign tokens with; its name (kid) is its thumbprint."""
    key: Any
    if algorithm == "RS256":
        key = jwk.RSAKey.generate_key(3072)
    elif algorithm == "ES256":
        key = jwk.ECKey.generate_key("P-256")
    else:
        key = jwk.OKPKey.generate_key("Ed25519")
    return cast("jwk.Key", key)


def private_key(text: bytes) -> jwk.Key:
    """A private key from PEM. Raises SettingsError."""
    for kind in ("RSA", "EC", "OKP"):
        try:
            key = jwk.import_key(text, kind)
        except (JoseError, TypeError, ValueError):
            continue
        if not key.is_private:
            raise SettingsError("this is a public key: tokens are signed with the private one")
        return key
    raise SettingsError("this is no PEM of an RSA, EC or Ed25519 private key")


def signed_token(key: jwk.Key, claims: Mapping[str, Any], *, lifetime_s: float) -> str:
    """A token that says this, good from now on for that long. Raises SettingsError where no server would take it."""
    try:
        algorithm = algorithm_of(key)
    except ValueError as error:
        raise SettingsError(f"this key cannot sign tokens: {error}") from error
    now = int(time.time())
    header = {"alg": algorithm, "typ": "at+jwt", "kid": key.thumbprint()}
    body = orjson.dumps({"iat": now, "exp": now + max(1, int(lifetime_s)), **claims})
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    text = jws.serialize_compact(header, body, key, algorithms=[algorithm], registry=registry)
    if len(text) > TOKEN_BYTES_MAX:
        raise SettingsError(f"the token would have {len(text)} characters, and servers take {TOKEN_BYTES_MAX}")
    return text
