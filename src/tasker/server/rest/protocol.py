"""HTTP as uvicorn speaks it, with bounds on what comes before a request is known.

Without them one connection makes the whole process wait: the parser joins the parts of a long header again with each
part that comes. And connections that never say what they want would be kept for as long as they like.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tasker.settings import Settings

LEFTOVERS_WITHIN_S = 5.0
"""So long may what is left of a body come after its answer: who is refused may still be sending."""
PIPELINED_MAX = 100
"""So many requests may wait on one connection for the answer to an earlier one."""
_QUIET = logging.getLogger("tasker.http")
_QUIET.setLevel(logging.ERROR)  # what is no HTTP is not worth a line each: whoever sends it decides how often
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b'\r\n{"error":{"code":"PAYLOAD_TOO_LARGE","message":"the address and the headers are too many, or too long '
    b'(TASKER_REQUEST_HEADERS_MAX, TASKER_REQUEST_HEAD_BYTES_MAX)"}}'
)
_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b'\r\n{"error":{"code":"TIMEOUT","message":"the headers took too long to come"}}'
)


class HeadTooLarge(Exception):
    """Ends the parser's work on a request."""


class NotOneHost(Exception):
    """The same, for a request that names no host, or two: who looks at it must not see two things."""


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol, in a process that has called `bound`."""

    head_bytes_max: int
    headers_max: int
    head_within_s: float
    _deadline: asyncio.TimerHandle | None = None
    _is_in_head = True
    _unparsed_bytes = 0
    _head_bytes = 0
    _headers = 0

    @classmethod
    def bound(cls, settings: Settings) -> None:
        """Takes the limits from the settings, for all connections of this process."""
        cls.head_bytes_max, cls.headers_max = settings.request_head_bytes_max, settings.request_headers_max
        cls.head_within_s = settings.request_head_timeout_s

    def connection_made(self, transport: Any) -> None:
        """The first request is awaited."""
        self.logger = _QUIET
        super().connection_made(transport)
        self._set_deadline(self.head_within_s, _TOO_SLOW)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._drop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """What is of a head counts, also before the parser tells of it."""
        self._unparsed_bytes += len(data)
        super().data_received(data)
        if not self._is_in_head:
            self._unparsed_bytes = 0
        elif self._unparsed_bytes > self.head_bytes_max and not self.transport.is_closing():
            self._end(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """A head begins; it has to end in time."""
        super().on_message_begin()
        self._is_in_head, self._head_bytes, self._headers = True, 0, 0
        self._set_deadline(self.head_within_s, _TOO_SLOW)

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._headers += 1
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The request is known; from here on the application's own timeout holds."""
        self._is_in_head, self._unparsed_bytes = False, 0
        self._drop_deadline()
        parser: Any = self.parser
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and parser.get_http_version() == "1.1"):
            raise NotOneHost
        if len(self.pipeline) >= PIPELINED_MAX:
            raise HeadTooLarge
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What comes next is of another request."""
        self._is_in_head, self._unparsed_bytes = True, 0
        self._drop_deadline()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A body that is still coming has to end soon."""
        if not self._is_in_head and not self.transport.is_closing():
            self._set_deadline(LEFTOVERS_WITHIN_S, b"")
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """The answer to what is no HTTP, or too much of it."""
        if self._is_too_large():
            self._end(_TOO_LARGE)
        else:
            super().send_400_response(msg)

    def _is_too_large(self) -> bool:
        return self._head_bytes > self.head_bytes_max or self._headers > self.headers_max

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._is_too_large():
            raise HeadTooLarge

    def _set_deadline(self, within_s: float, answer: bytes) -> None:
        self._drop_deadline()
        self._deadline = self.loop.call_later(within_s, self._too_late, within_s, answer)

    def _drop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self, within_s: float, answer: bytes) -> None:
        """While an answer to an earlier request of the connection is under way, its end is awaited."""
        if self._is_answering():
            self._set_deadline(within_s, answer)
        else:
            self._end(answer)

    def _is_answering(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _end(self, answer: bytes) -> None:
        self._drop_deadline()
        if not self.transport.is_closing():
            if not self._is_answering():
                self.transport.write(answer)
            self.transport.close()
