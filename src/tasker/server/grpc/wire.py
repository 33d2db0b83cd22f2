"""From messages to plain values and back, led by the descriptors: a field goes by its name, and by its kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from tasker import proto
from tasker.model.errors import InvalidInput

CALLED: Mapping[str, Mapping[str, str]] = {
    "Task": {"state": "status"},
    "Step": {"state": "current_state"},
    "StepAuditRecord": {"step_uuid": "workflow_step_uuid"},
}
"""Fields of messages that operations call by another name."""
_EXACT = 2**53
"""Up to here every whole number of a Struct, which knows only doubles, is itself."""

Convert = Callable[[Any], Any]


# Reading --------------------------------------------------------------------------------------------------------------


def plain(message: Any) -> dict[str, Any]:
    """What a message says; what it does not say is left out.

    Enums become words in lower case, Structs objects, Timestamps aware times. Raises InvalidInput.
    """
    return {field.name: _read(field, value) for field, value in message.ListFields()}


def _read(field: FieldDescriptor, value: Any) -> Any:
    if field.is_repeated and not isinstance(value, Mapping):
        return [_read_one(field, one) for one in value]
    return _read_one(field, value)


def _read_one(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        return _word(field.enum_type, field.name, value)
    if field.message_type is None:
        return value
    match field.message_type.full_name:
        case "google.protobuf.Struct":
            return _object(value, field.name)
        case "google.protobuf.Timestamp":
            return _moment(value, field.name)
        case _:
            return plain(value)


def _word(kind: EnumDescriptor, name: str, number: int) -> str:
    words = proto.words(kind)
    if number not in words:
        raise InvalidInput(f"{name}: {number} says nothing; it is one of {', '.join(words.values())}")
    return words[number]


def _moment(value: Any, name: str) -> datetime:
    try:
        return value.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"{name}: this is no time") from error


def _object(value: Any, path: str) -> dict[str, Any]:
    return {name: _json(one, f"{path}.{name}") for name, one in value.fields.items()}


def _json(value: Any, path: str) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _object(value.struct_value, path)
        case "list_value":
            return [_json(one, f"{path}[{at}]") for at, one in enumerate(value.list_value.values)]
        case "number_value":
            return _number(value.number_value, path)
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "null_value":
            return None
        case _:
            raise InvalidInput(f"{path}: the value is empty; null has a kind of its own")


def _number(value: float, path: str) -> float | int:
    """JSON has no NaN; a whole number is an integer, as it is when it comes over HTTP."""
    if not math.isfinite(value):
        raise InvalidInput(f"{path}: {value} is no number of JSON")
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


# Writing --------------------------------------------------------------------------------------------------------------


def written(kind: Descriptor, value: Any) -> Any:
    """A message with what an answer (a model or a mapping) knows of its fields; None is left out."""
    get: Any = cast("Mapping[str, Any]", value).get if isinstance(value, Mapping) else partial(_attribute, value)
    found = {name: (get(source), convert) for name, source, convert in _plan(kind)}
    return proto.class_of(kind)(**{name: convert(one) for name, (one, convert) in found.items() if one is not None})


def sources(kind: Descriptor) -> dict[str, str]:
    """Under which name each field of a message is looked for in an answer."""
    return {name: source for name, source, _ in _plan(kind)}


def _attribute(value: Any, name: str) -> Any:
    return getattr(value, name, None)


@cache
def _plan(kind: Descriptor) -> tuple[tuple[str, str, Convert], ...]:
    called = CALLED.get(kind.name, {})
    return tuple((field.name, called.get(field.name, field.name), _converter(field)) for field in kind.fields)


def _converter(field: FieldDescriptor) -> Convert:
    one = _converter_of_one(field)
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    if not field.is_repeated or is_map:
        return one

    def convert(values: Any) -> list[Any]:
        return [one(value) for value in values]

    return convert


def _converter_of_one(field: FieldDescriptor) -> Convert:
    if field.enum_type is not None:
        numbers = {word: number for number, word in proto.words(field.enum_type).items()}
        return lambda word: numbers[str(word)]
    if field.message_type is not None:
        return _converter_to_message(field.message_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return bytes
    return {
        FieldDescriptor.CPPTYPE_STRING: _text,
        FieldDescriptor.CPPTYPE_BOOL: bool,
        FieldDescriptor.CPPTYPE_DOUBLE: float,
    }.get(field.cpp_type, round)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _converter_to_message(kind: Descriptor) -> Convert:
    if kind.GetOptions().map_entry:
        return lambda value: {name: str(one) for name, one in value.items()}
    return {
        "google.protobuf.Struct": _struct,
        "google.protobuf.Timestamp": _timestamp,
        "google.protobuf.Value": _value,
    }.get(kind.full_name, partial(written, kind))


def _struct(value: Any) -> Any:
    made = proto.message("google.protobuf.Struct")()
    made.update(value if isinstance(value, Mapping) else {"result": value})
    return made


def _timestamp(value: datetime) -> Any:
    made = proto.message("google.protobuf.Timestamp")()
    made.FromDatetime(value)
    return made


def _value(value: Any) -> Any:
    return _struct({"value": value}).fields["value"]
