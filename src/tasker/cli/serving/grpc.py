"""gRPC beside REST in `tasker server`: each server process listens for itself, on one port."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from tasker.model.errors import SettingsError
from tasker.settings import Settings

if TYPE_CHECKING:
    from tasker.server.entrance import Entrance


def check_grpc(settings: Settings) -> None:
    """Raises SettingsError where gRPC could not be served."""
    try:
        from tasker.server.grpc import Listening
    except ImportError as error:
        raise SettingsError("gRPC is not installed: pip install 'tasker-engine[server,grpc]'") from error
    certificate, key = settings.server_grpc_tls_certificate, settings.server_grpc_tls_key
    Listening(host="", port=0, certificate=certificate, key=key).credentials()


def reserved(host: str, port: int) -> socket.socket:
    """A socket that keeps a port for the server processes. It never listens, so nothing is sent to it.

    The first bind makes sure that nobody else has the port: who shares one is not told. Raises SettingsError.
    """
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, number) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(address)
            alone.listen()
            address = alone.getsockname()
        kept = socket.socket(family, kind, number)
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(address)
    except OSError as error:
        raise SettingsError(f"cannot listen for gRPC on {host} port {port}: {error.strerror or error}") from error
    return kept


def with_grpc(
    inner: AbstractAsyncContextManager[object],
    entrance: Entrance,
    host: str,
    port: int,
) -> AbstractAsyncContextManager[None]:
    """What a server process runs inside of, and gRPC there, with the entrance that it shares with REST."""
    from tasker.server.grpc import GrpcServer, Listening

    engine = entrance.engine
    settings = engine.settings
    listening = Listening(
        host=host,
        port=port,
        is_shared=True,
        certificate=settings.server_grpc_tls_certificate,
        key=settings.server_grpc_tls_key,
    )

    @asynccontextmanager
    async def running() -> AsyncGenerator[None]:
        async with inner, GrpcServer(engine, listening, entrance=entrance):
            yield

    return running()
