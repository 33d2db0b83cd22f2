"""What a handler calls HTTP APIs with: `Api` in threads, `AsyncApi` on event loops."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Unpack
from urllib.parse import quote

import httpx2

from tasker.handlers.api_call import READING, ApiRules, Call, CallOptions
from tasker.handlers.api_clients import loop_client, thread_client
from tasker.handlers.api_response import ApiResponse
from tasker.handlers.context import StepContext
from tasker.model.errors import ConfigurationError, PermanentError


class _Caller:
    """What both clients of a step have in common: whose step it is, and which keys it has used."""

    def __init__(self, rules: ApiRules, context: StepContext) -> None:
        self._rules = rules
        self._context = context
        self._writes: dict[str, tuple[Any, ...]] = {}

    def _call(self, method: str, url: str, options: CallOptions) -> Call:
        method = method.upper()
        key = None if method in READING else self._key(method, url, options)
        return Call(self._rules, self._context, method, url, options, key)

    def _key(self, method: str, url: str, options: CallOptions) -> str:
        part = options.get("part")
        key = _sendable(self._context.idempotency_key) + (f"/{_sendable(part)}" if part else "")
        write = (method, url, repr([options.get(name) for name in ("params", "json", "data", "content")]))
        names = {name.lower() for name in options.get("headers", ())}
        if "idempotency-key" not in names and self._writes.setdefault(key, write) != write:
            raise PermanentError(
                f"step {self._context.step_name!r} sends a second, other write, {method} {url.partition('?')[0]}, "
                'under one idempotency key, and would be answered as if it were the first: name each, part="refund"',
                error_code="IDEMPOTENCY_KEY_REUSED",
            )
        return key


class Api(_Caller):
    """Calls for one execution of a step, for plain code in a thread. All return the response or raise a StepError."""

    def get(self, url: str, **options: Unpack[CallOptions]) -> ApiResponse:
        """GET a path below the base URL, or an absolute URL."""
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Unpack[CallOptions]) -> ApiResponse:
        """POST."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Unpack[CallOptions]) -> ApiResponse:
        """PUT."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Unpack[CallOptions]) -> ApiResponse:
        """PATCH."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Unpack[CallOptions]) -> ApiResponse:
        """DELETE."""
        return self.request("DELETE", url, **options)

    def request(self, method: str, url: str, **options: Unpack[CallOptions]) -> ApiResponse:
        """Any method. Blocks, and therefore refuses to run on an event loop."""
        _refuse_on_a_loop()
        call = self._call(method, url, options)
        deadline = time.monotonic() + call.timeout_s
        with call.classified(), thread_client() as client:
            request: httpx2.Request | None = call.first_request(client)
            while True:
                response = client.send(request, stream=True)
                try:
                    request = call.redirected(response)
                    if request is None:
                        for chunk in response.iter_bytes():
                            if time.monotonic() > deadline:
                                raise TimeoutError
                            if not call.take(response, chunk):
                                break
                        return call.finish(response)
                finally:
                    response.close()


class AsyncApi(_Caller):
    """The same for async code."""

    async def get(self, url: str, **options: Unpack[CallOptions]) -> ApiResponse:
        """GET a path below the base URL, or an absolute URL."""
        return await self.request("GET", url, **options)

    async def post(self, url: str, **options: Unpack[CallOptions]) -> ApiResponse:
        """POST."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Unpack[CallOptions]) -> ApiResponse:
        """PUT."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: str, **options: Unpack[CallOptions]) -> ApiResponse:
        """PATCH."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: str, **options: Unpack[CallOptions]) -> ApiResponse:
        """DELETE."""
        return await self.request("DELETE", url, **options)

    async def request(self, method: str, url: str, **options: Unpack[CallOptions]) -> ApiResponse:
        """Any method."""
        call = self._call(method, url, options)
        with call.classified():
            async with asyncio.timeout(call.timeout_s), loop_client() as client:
                request: httpx2.Request | None = call.first_request(client)
                while True:
                    response = await client.send(request, stream=True)
                    try:
                        request = call.redirected(response)
                        if request is None:
                            async for chunk in response.aiter_bytes():
                                if not call.take(response, chunk):
                                    break
                            return call.finish(response)
                    finally:
                        await response.aclose()


def _sendable(key: str) -> str:
    """The key in printable ASCII without a slash, which parts the step from its part. Different keys stay different."""
    return quote(key, safe="!#$&'()*+,:;<=>?@[]^`{|}")


def _refuse_on_a_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise ConfigurationError(
        "a blocking HTTP call on the event loop would stop every other step: use async_api in async handlers, and no "
        'runs_in="async" for plain ones',
        error_code="BLOCKING_CALL",
    )
