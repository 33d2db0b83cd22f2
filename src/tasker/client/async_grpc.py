"""Requests over gRPC, each sent once: every operation by its name, with inputs and answers in JSON as over HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import grpc
import orjson

from tasker import proto
from tasker.client.channels import async_channel, metadata_of
from tasker.client.profiles import Profile
from tasker.client.requests import given_of
from tasker.client.rpc_errors import error_of_call
from tasker.operations import Operation


class AsyncGrpc:
    """A wire to a server that speaks gRPC. The channel opens with the first call."""

    def __init__(self, profile: Profile, headers: Mapping[str, str]) -> None:
        self._profile = profile
        self._metadata = metadata_of({**headers, **profile.headers()})
        self._channel: Any = None

    async def aclose(self) -> None:
        """Closes the channel."""
        made, self._channel = self._channel, None
        if made is not None:
            await made.close()

    async def answer(self, operation: Operation[Any], fields: Mapping[str, Any], timeout_s: float) -> bytes:
        """The JSON that one call is answered. Raises the error that the answer tells; ServerUnavailable without."""
        call = self._stub("OperationService").Call
        try:
            answer = await call(_request(operation, fields), timeout=timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            raise error_of_call(error, self._profile.url) from error
        return answer.answer_json

    async def updates(
        self, operation: Operation[Any], fields: Mapping[str, Any], behind: str | None
    ) -> AsyncGenerator[bytes]:
        """The JSON of each update on one connection, until that ends. Raises as `answer`, also in the middle."""
        said = fields if behind is None else {**fields, "cursor": behind}
        watching = self._stub("OperationService").Watch(_request(operation, said), metadata=self._metadata)
        try:
            async for answer in watching:
                yield answer.answer_json
        except grpc.RpcError as error:
            raise error_of_call(error, self._profile.url) from error
        finally:
            watching.cancel()

    async def health(self) -> dict[str, Any]:
        """What the server says of itself, where it is ready. Raises ServerUnavailable, DatabaseUnavailable."""
        check = self._stub("HealthService").CheckReadiness
        try:
            found = await check(proto.message("ReadinessRequest")(), timeout=self._profile.timeout_s)
        except grpc.RpcError as error:
            raise error_of_call(error, self._profile.url) from error
        return _plain(found)

    def _stub(self, service: str) -> Any:
        if self._channel is None:
            self._channel = async_channel(self._profile)
        return proto.Stub(self._channel, service)


def _plain(message: Any) -> dict[str, Any]:
    return {
        field.name: _plain(getattr(message, field.name)) if field.message_type else getattr(message, field.name)
        for field in message.DESCRIPTOR.fields
        if not field.has_presence or message.HasField(field.name)
    }


def _request(operation: Operation[Any], fields: Mapping[str, Any]) -> Any:
    return proto.message("CallRequest")(operation=operation.name, given_json=orjson.dumps(given_of(operation, fields)))
