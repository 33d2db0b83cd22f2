"""The services as they were published before Tasker: contract.txt, a fact a line, and stubs made from nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    struct_pb2,
    timestamp_pb2,
)

TEXT = (Path(__file__).parent / "contract.txt").read_text()
_FILE = "published.proto"
_FIELD = descriptor_pb2.FieldDescriptorProto


def blocks() -> Iterator[tuple[str, str, list[list[str]]]]:
    """Each service, message and enum: the kind, the name, and the words of its lines."""
    kind, name, lines = "", "", list[list[str]]()
    for line in TEXT.splitlines():
        if line.startswith("#"):
            continue
        if line.startswith("  "):
            lines.append(line.split())
            continue
        if kind:
            yield kind, name, lines
        (kind, name), lines = line.split(), []
    yield kind, name, lines


def methods() -> dict[str, tuple[str, str, bool]]:
    """By `Service/Method`: the request, the answer, and whether it is a stream."""
    return {
        f"{service}/{line[0]}": (line[1], line[-1], line[-2] == "stream")
        for kind, service, lines in blocks()
        if kind == "service"
        for line in lines
    }


def field_of(words: list[str]) -> tuple[int, str, str, str]:
    """Number, label, type and name of a field."""
    number, *label, kind, name = words
    return int(number), label[0] if label else "", kind, name


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool: Any = descriptor_pool.DescriptorPool()
    for known in (struct_pb2, timestamp_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(name=_FILE, package="tasker.v1", syntax="proto3")
    file.dependency.extend(["google/protobuf/struct.proto", "google/protobuf/timestamp.proto"])
    enums = {name for kind, name, _ in blocks() if kind == "enum"}
    outer: dict[str, Any] = {}
    for kind, name, lines in blocks():
        if kind == "message":
            outer[name] = _message(file.message_type.add(name=name), lines, enums)
        elif kind == "enum":
            home, _, short = name.rpartition(".")
            made = (outer[home].enum_type if home else file.enum_type).add(name=short)
            for number, word in lines:
                made.value.add(name=word, number=int(number))
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _message(made: Any, lines: list[list[str]], enums: set[str]) -> Any:
    for number, label, kind, name in map(field_of, lines):
        field = made.field.add(name=name, number=number, label=3 if label == "repeated" else 1)
        if kind.endswith("MetadataEntry"):
            entry = made.nested_type.add(name="MetadataEntry")
            entry.options.map_entry = True
            for at, part in enumerate(("key", "value"), 1):
                entry.field.add(name=part, number=at, type=_FIELD.TYPE_STRING, label=1)
        if kind.upper() in {one.removeprefix("TYPE_") for one, _ in _FIELD.Type.items()}:
            field.type = _FIELD.Type.Value(f"TYPE_{kind.upper()}")
        else:
            field.type = _FIELD.TYPE_ENUM if kind in enums else _FIELD.TYPE_MESSAGE
            field.type_name = f".{kind}" if kind.startswith("google.") else f".tasker.v1.{kind}"
        if label == "optional":
            made.oneof_decl.add(name=f"_{name}")
            field.oneof_index, field.proto3_optional = len(made.oneof_decl) - 1, True
    return made


def message(name: str) -> Any:
    """The class of a published message."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"tasker.v1.{name}"))


def call(channel: Any, path: str) -> Any:
    """The stub of a published method, `TaskService/GetTask`."""
    request, answer, is_stream = methods()[path]
    open_call = channel.unary_stream if is_stream else channel.unary_unary
    return open_call(
        f"/tasker.v1.{path}",
        request_serializer=message(request).SerializeToString,
        response_deserializer=message(answer).FromString,
    )
