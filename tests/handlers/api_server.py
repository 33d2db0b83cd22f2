"""An HTTP server on loopback, in the test's process: it answers as the test says and writes down what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Asked:
    """A request as it arrived. `connection` tells apart those that came over different connections."""

    method: str
    path: str
    headers: Message
    body: bytes
    connection: int

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """What the server says. `chunks` are sent one by one, instead of `body` and without a length."""

    status: int = 200
    body: bytes | str | dict[str, Any] | list[Any] = b""
    headers: dict[str, str] = field(default_factory=dict)
    chunks: Callable[[], Iterator[bytes]] | None = None


class Server(ThreadingHTTPServer):
    """`answer` is called for each request, in the request's thread; set it to what the test needs."""

    daemon_threads = True

    def __init__(self, host: str) -> None:
        super().__init__((host, 0), _Handler)
        self.asked: list[Asked] = []
        self.connections = 0
        self.answer: Callable[[Asked], Answer] = lambda _: Answer(body={"ok": True})
        self.released = threading.Event()
        """For answers that wait: set when the test is over."""

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]}:{self.port}"

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def says(self, *answers: Answer) -> None:
        """Gives these answers in their order, and the last one for ever."""
        left = list(answers)
        self.answer = lambda _: left.pop(0) if len(left) > 1 else left[0]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away in the middle are what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def _serve(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        asked = Asked(self.command, self.path, self.headers, self.rfile.read(size), self.client_address[1])
        self.server.asked.append(asked)
        answer = self.server.answer(asked)
        body = answer.body if isinstance(answer.body, bytes | str) else json.dumps(answer.body)
        data = body if isinstance(body, bytes) else body.encode()
        headers = dict(answer.headers)
        if not isinstance(answer.body, bytes | str):
            headers.setdefault("Content-Type", "application/json")
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        if answer.chunks is None:
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for chunk in answer.chunks():
            self.wfile.write(chunk)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve

    def send_header(self, keyword: str, value: str) -> None:
        """Dates are the test's."""
        if keyword != "Server":
            super().send_header(keyword, value)

    def date_time_string(self, timestamp: int | None = None) -> str:
        return getattr(self.server, "date", None) or super().date_time_string(timestamp)

    def log_message(self, *_: Any) -> None:
        """Nothing on the test's terminal."""


@contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[Server]:
    """A server that is there until the block ends."""
    server = Server(host)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
