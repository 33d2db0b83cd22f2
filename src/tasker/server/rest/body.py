"""Reading a request: no more of it than the settings allow, and no JSON that would hurt whoever looks at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import orjson
from starlette.requests import ClientDisconnect, Request

from tasker.model.errors import MalformedRequest, RequestTooLarge
from tasker.settings import Settings

WORKER_DEPTH_MAX = 120


def check_value(value: Any, settings: Settings) -> None:
    """Raises RequestTooLarge for JSON that is nested too deep, holds too much or too long strings; MalformedRequest for
    the character NUL, which the database cannot hold."""
    level, count = [value], 0
    for _ in range(settings.json_depth_max + 1):
        if not level:
            return
        count += len(level)
        if count > settings.json_values_max:
            raise RequestTooLarge(
                f"the JSON holds more than {settings.json_values_max} values (TASKER_JSON_VALUES_MAX)"
            )
        level = [inner for one in level for inner in _inside(one, settings.json_string_bytes_max)]
    raise RequestTooLarge(f"the JSON is nested deeper than {settings.json_depth_max} (TASKER_JSON_DEPTH_MAX)")


def check_of_worker(value: Any, settings: Settings) -> None:
    """The same for what workers send: results have a limit of their own, and a bad one must not stop the others."""
    level: list[Any] = [value]
    for _ in range(WORKER_DEPTH_MAX):
        if not level:
            return
        level = [inner for one in level for inner in _children(one)]
    raise RequestTooLarge(f"the JSON is nested deeper than {WORKER_DEPTH_MAX}")


async def read_json(
    request: Request, settings: Settings, check: Callable[[Any, Settings], None] = check_value
) -> dict[str, Any]:
    """The JSON object of a request's body; an empty body is an empty object.

    Raises RequestTooLarge and MalformedRequest.
    """
    content = await _read(request, settings.request_bytes_max)
    if not content.strip():
        return {}
    _check_kind(request)
    return read_object(content, "the body", lambda value: check(value, settings))


def read_object(content: bytes, what: str, check: Callable[[Any], None]) -> dict[str, Any]:
    """The JSON object that `what` is. Raises MalformedRequest, and what the check raises."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise MalformedRequest(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise MalformedRequest(f"{what} is JSON, but no object")
    check(value)
    return cast("dict[str, Any]", value)


async def _read(request: Request, bytes_max: int) -> bytes:
    said = request.headers.get("content-length", "0")
    if said.isdigit() and int(said) > bytes_max:
        raise _too_large(bytes_max)
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > bytes_max:
                raise _too_large(bytes_max)
            chunks.append(chunk)
    except ClientDisconnect as error:
        raise MalformedRequest("the body ended early") from error
    return b"".join(chunks)


def _too_large(bytes_max: int) -> RequestTooLarge:
    return RequestTooLarge(f"the body has more than {bytes_max} bytes: send less at once (TASKER_REQUEST_BYTES_MAX)")


def _check_kind(request: Request) -> None:
    """A browser sends JSON to another site only if that site agrees; other kinds of bodies it sends at once."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise MalformedRequest(
            'the body has to be JSON, and to say so: send the header "Content-Type: application/json"'
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise MalformedRequest("the body is compressed: send it as it is")


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).values())
    return cast("list[Any]", value) if isinstance(value, list) else []


def _inside(value: Any, string_bytes_max: int) -> list[Any]:
    """What an object or an array holds, after a look at the strings of its first level."""
    if isinstance(value, str):
        check_text(value, string_bytes_max)
        return []
    if isinstance(value, dict):
        for key in cast("dict[str, Any]", value):
            check_text(key, string_bytes_max)
        return list(cast("dict[str, Any]", value).values())
    return _children(value)


def check_text(text: str, string_bytes_max: int) -> None:
    """Raises what check_value raises, for one string."""
    if len(text) > string_bytes_max or len(text) * 4 > string_bytes_max < len(text.encode()):
        raise RequestTooLarge(f"a string has more than {string_bytes_max} bytes (TASKER_JSON_STRING_BYTES_MAX)")
    if "\0" in text:
        raise MalformedRequest("a string holds the character NUL, which the database cannot keep")
