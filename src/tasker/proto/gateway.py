"""The messages of the gateway and plain values: fields go by their names, and bytes hold JSON.

Both ends use it, so that what a worker says over a stream is what it would say over HTTP. A message with nothing but
`items` stands for a list that can be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, cast

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tasker import proto

ASKS, TELLS = "asks", "tells"
"""The part of a request, and of an answer, that says what it is."""
_LIST = "items"

Convert = Callable[[Any], Any]


def request_class() -> Any:
    """The class of what workers send."""
    return proto.message(f"{proto.GATEWAY}.WorkRequest")


def answer_class() -> Any:
    """The class of what servers answer."""
    return proto.message(f"{proto.GATEWAY}.WorkAnswer")


# To messages ----------------------------------------------------------------------------------------------------------


def said(kind: Descriptor, value: Any) -> Any:
    """A message with what a mapping or a model knows of its fields; None is left out."""
    return proto.class_of(kind)(**_fields(kind, value))


def _fields(kind: Descriptor, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        get: Callable[[str], Any] = cast("Mapping[str, Any]", value).get
    else:
        get = partial(getattr, value)
    return {name: convert(one) for name, convert in _writers(kind) if (one := get(name)) is not None}


@cache
def _writers(kind: Descriptor) -> tuple[tuple[str, Convert], ...]:
    return tuple((field.name, _each(field, _writer(field))) for field in kind.fields)


def _writer(field: FieldDescriptor) -> Convert:
    inner = field.message_type
    if inner is not None:
        if _is_list(inner):
            return lambda values: _fields(inner, {_LIST: values})
        return lambda value: _fields(inner, value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return orjson.dumps
    return str if field.type == FieldDescriptor.TYPE_STRING else _itself


# To plain values ------------------------------------------------------------------------------------------------------


def asked(message: Any) -> dict[str, Any]:
    """What a message says; what it does not say is left out. Raises JSONDecodeError, a ValueError."""
    readers = _readers(message.DESCRIPTOR, asked)
    return {field.name: readers[field.name](value) for field, value in message.ListFields()}


def told(message: Any) -> dict[str, Any]:
    """Every field of a message, None for what it does not say."""
    return {
        name: read(getattr(message, name)) if not is_optional or message.HasField(name) else None
        for name, (read, is_optional) in _every(message.DESCRIPTOR).items()
    }


@cache
def _every(kind: Descriptor) -> dict[str, tuple[Convert, bool]]:
    readers = _readers(kind, told)
    return {field.name: (readers[field.name], field.has_presence) for field in kind.fields}


@cache
def _readers(kind: Descriptor, read: Convert) -> dict[str, Convert]:
    return {field.name: _each(field, _reader(field, read)) for field in kind.fields}


def _reader(field: FieldDescriptor, read: Convert) -> Convert:
    inner = field.message_type
    if inner is not None:
        return (lambda message: read(message).get(_LIST, [])) if _is_list(inner) else read
    return _loaded if field.type == FieldDescriptor.TYPE_BYTES else _itself


def _loaded(content: bytes) -> Any:
    """None for nothing at all, as a text that is empty would be."""
    return orjson.loads(content) if content else None


def _itself(value: Any) -> Any:
    return value


def _is_list(kind: Descriptor) -> bool:
    return [field.name for field in kind.fields] == [_LIST]


def _each(field: FieldDescriptor, convert: Convert) -> Convert:
    if not field.is_repeated:
        return convert
    if convert is _itself:
        return list
    return lambda values: [convert(value) for value in values]
