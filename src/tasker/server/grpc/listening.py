"""The server of gRPC in one process: it begins to listen, and stops without cutting anybody off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from tasker import proto
from tasker.model.errors import SettingsError
from tasker.operations import Engine
from tasker.server.auth import Authenticator
from tasker.server.entrance import Entrance
from tasker.server.grpc.calls import Calls
from tasker.server.grpc.gateway import WORK, Gateway
from tasker.server.grpc.methods import METHODS, STREAMS

_health: Any = health  # its module for asyncio is untyped
_KEEPALIVE_MS = 60_000
"""So often a silent client is asked whether it is still there: else the stream of one that is gone stayed open."""
_PINGS_MS = 5_000
"""So often clients may ask the same of the server; who asks more often is cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where a server listens. `is_shared`: other processes listen on the same port."""

    host: str
    port: int
    is_shared: bool = False
    certificate: Path | None = None
    key: Path | None = None
    """Files with the certificate (and its chain) and its key, in PEM: then the connection is TLS."""

    @property
    def address(self) -> str:
        """As gRPC writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def credentials(self) -> grpc.ServerCredentials | None:
        """Of TLS; None without. Raises SettingsError."""
        if self.certificate is None and self.key is None:
            return None
        if self.certificate is None or self.key is None:
            raise SettingsError("TLS needs both TASKER_SERVER_GRPC_TLS_CERTIFICATE and TASKER_SERVER_GRPC_TLS_KEY")
        try:
            return grpc.ssl_server_credentials([(self.key.read_bytes(), self.certificate.read_bytes())])
        except OSError as error:
            raise SettingsError(f"cannot read {error.filename}: {error.strerror}") from error


class GrpcServer:
    """The API of an engine over gRPC; `async with` begins and stops it.

    Without an authenticator every caller may do everything: keep it on loopback then. `entrance` is given where the
    process has other faces, which share it; it knows the authenticator then. `interceptors` are those of grpc.aio.
    """

    def __init__(
        self,
        engine: Engine,
        listening: Listening,
        *,
        authenticator: Authenticator | None = None,
        entrance: Entrance | None = None,
        interceptors: Sequence[aio.ServerInterceptor] = (),
    ) -> None:
        self._interceptors = interceptors
        self._engine, self._listening = engine, listening
        self._entrance = entrance or Entrance(engine, authenticator)
        self._health: Any = _health.aio.HealthServicer()
        self.port = 0
        """The port that it listens on, once it does."""

    async def __aenter__(self) -> GrpcServer:
        self._calls = Calls(self._entrance)
        self._server = self._made()
        credentials = self._listening.credentials()
        try:
            if credentials is None:
                self.port = self._server.add_insecure_port(self._listening.address)
            else:
                self.port = self._server.add_secure_port(self._listening.address, credentials)
        except RuntimeError as error:
            raise SettingsError(f"cannot listen for gRPC on {self._listening.address}: is the port taken?") from error
        for name in _served():
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Takes no further calls, ends the streams, and lets the other calls finish for as long as the setting says."""
        await self._health.enter_graceful_shutdown()
        self._calls.stopping.set()
        await self._server.stop(self._engine.settings.server_drain_s)
        await self._entrance.refused.close()

    def _made(self) -> aio.Server:
        settings = self._engine.settings
        server = aio.server(
            interceptors=self._interceptors,
            options=[
                ("grpc.max_receive_message_length", settings.request_bytes_max),
                ("grpc.max_concurrent_streams", settings.streams_max),
                ("grpc.so_reuseport", int(self._listening.is_shared)),
                ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
                ("grpc.http2.min_ping_interval_without_data_ms", _PINGS_MS),
            ],
        )
        server.add_generic_rpc_handlers(tuple(handlers(self._calls)))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)  # pyright: ignore[reportUnknownMemberType]
        if settings.server_grpc_reflection:
            reflection.enable_server_reflection(
                [*_served(), health.SERVICE_NAME, reflection.SERVICE_NAME], server, pool=_every_descriptor()
            )
        return server


def handlers(calls: Calls) -> Iterable[grpc.GenericRpcHandler]:
    """A handler for each service. Requests and answers stay bytes here, so that what cannot be read is refused in the
    same words as all else."""
    for name, service in proto.services().items():
        known = proto.methods(name)
        made: dict[str, Any] = {
            method.name: grpc.unary_unary_rpc_method_handler(calls.unary(method, known[method.name]))
            for method in METHODS
            if method.service == name
        }
        for method in STREAMS:
            if method.service == name:
                answer = calls.streaming(method, known[method.name])
                made[method.name] = grpc.unary_stream_rpc_method_handler(answer)
        if name == WORK.containing_service.name:
            made[WORK.name] = grpc.stream_stream_rpc_method_handler(Gateway(calls).work)
        yield grpc.method_handlers_generic_handler(service.full_name, made)


def _served() -> list[str]:
    """The full names of our services."""
    return [service.full_name for service in proto.services().values()]


def _every_descriptor() -> DescriptorPool:
    """Ours, and those of the services beside them."""
    pool: Any = proto.new_pool()
    for file in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
        pool.AddSerializedFile(file.serialized_pb)
    return pool
