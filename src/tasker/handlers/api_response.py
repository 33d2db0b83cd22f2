"""What an HTTP call of a step answered."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import httpx2
import orjson

from tasker.handlers.api_errors import clean_excerpt
from tasker.handlers.egress import shown_url
from tasker.model.errors import RetryableError


class ApiResponse:
    """A response, read to its end. `status` is its code, `headers` are found whatever their case."""

    def __init__(self, status: int, headers: httpx2.Headers, content: bytes, url: httpx2.URL, encoding: str) -> None:
        self.status = status
        self.headers = headers
        self.content = content
        self.url = str(url)
        self._encoding = encoding
        self._shown = shown_url(url)

    def __repr__(self) -> str:
        return f"<ApiResponse {self.status} of {self._shown}>"

    @property
    def is_success(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status < 300

    @cached_property
    def text(self) -> str:
        """The body as text; what its encoding does not have is replaced."""
        try:
            return self.content.decode(self._encoding, "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body's JSON, decoded anew each time; RetryableError where it is none, as of a gateway's error page."""
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError as error:
            raise RetryableError(
                f"{self._shown} answered {self.status} with a body that is not JSON: {error}",
                error_code="INVALID_RESPONSE",
                metadata={"status": self.status, "response": clean_excerpt(self.text)},
            ) from None

    @property
    def body(self) -> Any:
        """The JSON where the server says that it is JSON, else the text; None where there is nothing."""
        if not self.content:
            return None
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return self.json() if kind == "application/json" or kind.endswith("+json") else self.text
