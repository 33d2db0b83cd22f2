"""An issuer of tokens, honest and otherwise."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwk, jws

from tasker.server.auth.public_keys import FixedKeys, KeySource, PublicKey, from_jwk
from tasker.server.auth.roles import all_roles
from tasker.server.auth.tokens import TokenRules, Tokens

NOW = 1_800_000_000.0
ISSUER, AUDIENCE = "https://issuer.example", "tasker"
EVERY_ALGORITHM = ["none", "HS256", "HS384", "HS512", "RS256", "RS384", "PS256", "ES256", "ES384", "EdDSA"]
_KINDS: dict[str, Any] = {
    "RS256": lambda: jwk.RSAKey.generate_key(2048, {"kid": "rsa"}),
    "ES256": lambda: jwk.ECKey.generate_key("P-256", {"kid": "ec"}),
    "EdDSA": lambda: jwk.OKPKey.generate_key("Ed25519", {"kid": "ed"}),
}
KEYS: dict[str, Any] = {name: make() for name, make in _KINDS.items()}
"""The issuer's private keys, made once a run: RSA takes a while."""


def public(key: Any, **changes: Any) -> dict[str, Any]:
    """The JSON of a key's public half."""
    return {**key.as_dict(private=False), **changes}


def known(*algorithms: str) -> list[PublicKey]:
    """The issuer's public keys."""
    return [from_jwk(public(KEYS[name])) for name in algorithms or KEYS]


def tokens(source: KeySource | None = None, *, roles: dict[str, list[str]] | None = None, **rules: Any) -> Tokens:
    """What lets the issuer's tokens in, at the time NOW."""
    given = {"algorithms": frozenset(KEYS), "issuer": ISSUER, "audience": AUDIENCE, "leeway_s": 30, **rules}
    return Tokens(source or FixedKeys(known()), TokenRules(**given), roles=all_roles(roles or {}), clock=lambda: NOW)


def claims(**changes: Any) -> dict[str, Any]:
    """What an honest token says; a change to None takes a claim away."""
    honest = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ann",
        "iat": NOW,
        "exp": NOW + 600,
        "permissions": ["tasks:read"],
        "namespaces": ["shop"],
    }
    return {name: value for name, value in {**honest, **changes}.items() if value is not None}


@dataclass
class Mint:
    """Signs whatever it is told to."""

    algorithm: str = "RS256"
    key: Any = None
    header: dict[str, Any] = field(default_factory=dict[str, Any])

    def token(self, payload: dict[str, Any] | bytes | None = None, **changes: Any) -> str:
        """A token whose claims are the honest ones with these changes, or just these bytes."""
        key = self.key or KEYS[self.algorithm]
        header = {"alg": self.algorithm, "typ": "JWT", "kid": key.kid, **self.header}
        header = {name: value for name, value in header.items() if value is not None}
        body = payload if isinstance(payload, bytes) else json.dumps(payload or claims(**changes)).encode()
        registry = jws.JWSRegistry(algorithms=EVERY_ALGORITHM, strict_check_header=False)
        return signed(header, body, key, registry)


def signed(header: dict[str, Any], body: bytes, key: Any, registry: Any = None) -> str:
    """The two parts and a signature by what the header names, or by RS256 where that is nothing that signs."""
    registry = registry or jws.JWSRegistry(algorithms=EVERY_ALGORITHM, strict_check_header=False)
    name = header.get("alg") if header.get("alg") in EVERY_ALGORITHM else "RS256"
    algorithm = registry.get_alg(name)
    text = f"{b64(json.dumps(header).encode())}.{b64(body)}"
    return f"{text}.{b64(algorithm.sign(text.encode(), key))}"


def b64(data: bytes) -> str:
    """Base64 as tokens have it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
