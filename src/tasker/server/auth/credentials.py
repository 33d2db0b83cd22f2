"""What a request's headers hold to prove who sends it: an API key, or a bearer token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tasker.model.errors import Unauthenticated
from tasker.server.auth.keys import MARK


@dataclass(frozen=True, slots=True)
class Credential:
    """What a caller sent as proof."""

    kind: Literal["api_key", "token"]
    text: str = field(repr=False)


def credential(headers: Mapping[str, str], key_header: str) -> Credential | None:
    """The proof in these headers (names in lower case), or None. An API key may come as a bearer token too.

    Raises Unauthenticated (malformed) for two proofs: which of them counts must not be a matter of taste.
    """
    key = headers.get(key_header.lower(), "").strip()
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    token = token.strip() if scheme.lower() == "bearer" else ""
    if key and token and key != token:
        raise Unauthenticated(f"send an API key in {key_header} or a bearer token, not both", "malformed")
    if key or token.startswith(f"{MARK}_"):
        return Credential("api_key", key or token)
    return Credential("token", token) if token else None
