"""Channels of gRPC to a server, in both worlds. Importing this needs `tasker-engine[grpc]`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
from grpc import aio

from tasker.client.profiles import Profile
from tasker.model.errors import SettingsError

PING_MS, PONG_MS = 20_000, 10_000
"""While a call is open, a connection on which nothing comes for so long is asked for a sign of life, and ended without
one: else nobody would hear of a server that went away without a word."""
_BACK_MS = 1000
"""A server that is back is found again within so long."""
_CONNECT_MS = 5000
_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", -1),  # how much an answer may hold is the server's to say
    ("grpc.keepalive_time_ms", PING_MS),
    ("grpc.keepalive_timeout_ms", PONG_MS),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", _BACK_MS),
    ("grpc.min_reconnect_backoff_ms", _CONNECT_MS),  # this one bounds how long connecting takes
    ("grpc.use_local_subchannel_pool", 1),  # what one client meets on its connection is not another's
]


def async_channel(profile: Profile) -> Any:
    """A channel to the server of a profile, for the loop that runs."""
    if profile.is_tls:
        return aio.secure_channel(_target(profile), _credentials(), options=_OPTIONS)
    return aio.insecure_channel(_target(profile), options=_OPTIONS)


def channel(profile: Profile) -> Any:
    """The same without await."""
    made: Any = grpc
    if profile.is_tls:
        return made.secure_channel(_target(profile), _credentials(), options=_OPTIONS)
    return made.insecure_channel(_target(profile), options=_OPTIONS)


def metadata_of(headers: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Headers as gRPC has them: their names in lower case."""
    return tuple((name.lower(), value) for name, value in headers.items())


def _target(profile: Profile) -> str:
    return f"dns:///{urlsplit(profile.url).netloc}"


def _credentials() -> Any:
    """Those of TLS; SSL_CERT_FILE says whom to trust here as it does for HTTP."""
    file = os.environ.get("SSL_CERT_FILE")
    try:
        return grpc.ssl_channel_credentials(Path(file).read_bytes() if file else None)
    except OSError as error:
        raise SettingsError(f"SSL_CERT_FILE: {file} cannot be read: {error.strerror}") from error
