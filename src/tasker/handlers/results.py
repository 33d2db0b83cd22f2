"""From what a handler returned to the JSON text that is kept.

orjson does nearly every result in one call, but it writes NaN as null and lets NUL through, which PostgreSQL refuses.
Both leave a trace in the text (`null`, `\\u0000`), so only a text that has one is looked at value by value. The same
walk runs when orjson refuses, because it knows where the bad value lies and orjson does not.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, cast
from uuid import UUID

import orjson

from tasker.model.errors import ResultTooLarge, StepValidationError

DEPTH_MAX = 200
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**64 - 1
NATIVE_LEAVES = (datetime, date, time, UUID)


def encode_result(value: Any, limit_bytes: int | None = None) -> str:
    """The JSON text of a handler's result.

    Objects (dicts, pydantic models, dataclasses) are kept as they are, None is `{}`, anything else is
    `{"result": value}`. Decimals become text, sets sorted lists, timedeltas seconds, enums their values.

    Raises StepValidationError, which says where the value lies that cannot be JSON, and ResultTooLarge.
    """
    shaped = value if value.__class__ is dict else _as_object(value)
    try:
        text = orjson.dumps(shaped, default=to_plain, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        text = orjson.dumps(plain_json(shaped))
    if b"null" in text or b"\\u0000" in text:
        plain_json(shaped)
    if limit_bytes is not None and len(text) > limit_bytes:
        raise ResultTooLarge(
            f"the step's result has {len(text)} bytes as JSON, the limit is {limit_bytes}: "
            "keep the data elsewhere (a table, a file, an object store) and return a reference to it"
        )
    return text.decode()


def _as_object(value: Any) -> Any:
    if value is None:
        return {}
    if is_dataclass(value) or _has(value, "model_dump") or isinstance(value, Mapping):
        value = _converted(value, "$")
        if isinstance(value, dict):
            return cast("dict[Any, Any]", value)
    return {"result": value}


def to_plain(value: Any) -> Any:
    """One value that orjson does not know, in types that it does; TypeError where there is no such thing."""
    if _has(value, "model_dump"):
        return value.model_dump(mode="json")
    for kind, convert in _CONVERSIONS:
        if isinstance(value, kind):
            return convert(value)
    if _has(value, "tolist"):
        return value.tolist()
    if inspect.iscoroutine(value):
        value.close()
        raise TypeError("is a coroutine: the handler did not await it, or has to be `async def` itself")
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("is bytes, which JSON does not have: decode it, or encode it as base64 text")
    kind_name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    raise TypeError(f"is a {kind_name}, which has no form in JSON")


def _sorted_items(value: Any) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=repr)


_CONVERSIONS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (Decimal, str),
    ((set, frozenset), _sorted_items),
    (Mapping, dict),
    (tuple, list),
    (timedelta, timedelta.total_seconds),
    (PurePath, str),
)


def plain_json(value: Any, path: str = "$", depth: int = 0) -> Any:
    """The same value in plain dicts, lists and scalars; StepValidationError with the path of what cannot be JSON."""
    if value is None or value is True or value is False:
        return value
    if depth > DEPTH_MAX:
        raise _unfit(path, f"lies more than {DEPTH_MAX} levels deep, or contains itself")
    if isinstance(value, Enum):
        return plain_json(value.value, path, depth + 1)
    if isinstance(value, str):
        return _plain_text(value, path)
    if isinstance(value, int | float):
        return _plain_number(value, path)
    if isinstance(value, NATIVE_LEAVES):
        return value
    if isinstance(value, dict):
        return _plain_object(cast("dict[Any, Any]", value), path, depth)
    if isinstance(value, list | tuple):
        items = cast("list[Any]", value)
        return [plain_json(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(items)]
    return plain_json(_converted(value, path), path, depth + 1)


def _converted(value: Any, path: str) -> Any:
    """A value that is none of JSON's, one level deep in types that are."""
    try:
        if is_dataclass(value) and not isinstance(value, type):
            return {one.name: getattr(value, one.name) for one in fields(value) if not one.name.startswith("_")}
        return to_plain(value)
    except Exception as error:
        # A model's own serialiser may raise anything; whatever it is, the result cannot be kept.
        raise _unfit(path, str(error) or repr(error)) from error


def _plain_object(value: dict[Any, Any], path: str, depth: int) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, item in value.items():
        name = _plain_key(key, path)
        if name in plain:
            raise _unfit(path, f"has two keys that are {name!r} in JSON")
        plain[name] = plain_json(item, f"{path}.{name}", depth + 1)
    return plain


def _plain_key(key: Any, path: str) -> str:
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, str):
        return _plain_text(key, f"{path} (a key)")
    if key is None or isinstance(key, bool | int | float):
        return orjson.dumps(_plain_number(key, path) if isinstance(key, float) else key).decode()
    if isinstance(key, UUID | date | Decimal):
        return str(key)
    raise _unfit(path, f"has a key of type {type(key).__name__}, and keys are text in JSON")


def _plain_text(value: str, path: str) -> str:
    if "\0" in value:
        raise _unfit(path, "has a NUL character, which PostgreSQL cannot keep: remove it")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        problem = f"has a lone surrogate (at character {error.start}), which is not text: decode or replace it"
        raise _unfit(path, problem) from None
    return str(value)


def _plain_number(value: float, path: str) -> float:
    if isinstance(value, int):
        if INTEGER_MIN <= value <= INTEGER_MAX:
            return int(value)
        raise _unfit(path, "is an integer of more than 64 bits: return it as text")
    if math.isfinite(value):
        return float(value)
    raise _unfit(path, f"is {value}, which JSON does not have: return None or leave it out")


def _has(value: object, method: str) -> bool:
    """Asks the class, because a mock object has everything."""
    return hasattr(type(value), method)


def _unfit(path: str, problem: str) -> StepValidationError:
    message = f"the step's result cannot be kept as JSON: {path} {problem}"
    return StepValidationError(message, error_code="invalid_result")
