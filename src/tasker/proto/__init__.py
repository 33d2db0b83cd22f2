"""The messages and services of gRPC: the .proto files, and their classes for Python.

The classes come from compiled descriptors (`scripts/protos.sh`), not from generated code: that would demand the very
version of protobuf that it was made with, and its module names begin with `tasker` too. They live in a pool of their
own, so that a process may hold other stubs of the same services beside them.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

PACKAGE = "tasker.v1"
GATEWAY = "tasker.gateway.v1"
"""Ours alone: workers that work through a server."""


@cache
def pool() -> DescriptorPool:
    """All descriptors."""
    return new_pool()


def new_pool() -> DescriptorPool:
    """The same in a pool to which more can be added."""
    made: Any = descriptor_pool.DescriptorPool()
    for file in descriptor_set().file:
        made.AddSerializedFile(file.SerializeToString())
    return made


def descriptor_set() -> descriptor_pb2.FileDescriptorSet:
    """The files as they were compiled, each after those that it imports."""
    return descriptor_pb2.FileDescriptorSet.FromString((files("tasker.proto") / "descriptors.binpb").read_bytes())


@cache
def message(name: str) -> Any:
    """The class of a message of tasker.v1, such as `Task`, or of a full name. Raises KeyError."""
    return class_of(pool().FindMessageTypeByName(name if "." in name else f"{PACKAGE}.{name}"))


def class_of(descriptor: Descriptor) -> Any:
    """The class of a message."""
    return message_factory.GetMessageClass(descriptor)


@cache
def services() -> dict[str, ServiceDescriptor]:
    """Every service by its name, such as `TaskService`."""
    names = [file.name for file in descriptor_set().file if file.package in (PACKAGE, GATEWAY)]
    found: list[FileDescriptor] = [pool().FindFileByName(name) for name in names]
    return {service.name: service for file in found for service in file.services_by_name.values()}


def methods(service: str) -> dict[str, MethodDescriptor]:
    """The methods of a service by their names."""
    return dict(services()[service].methods_by_name)


def path(method: MethodDescriptor) -> str:
    """What a method is called on the wire: `/tasker.v1.TaskService/GetTask`."""
    return f"/{method.containing_service.full_name}/{method.name}"


def word(message: Any, field: str) -> str:
    """An enum of a message as the HTTP API says it: `complete` for TASK_STATE_COMPLETE; of a number that is none ""."""
    kind: EnumDescriptor = message.DESCRIPTOR.fields_by_name[field].enum_type
    return words(kind).get(getattr(message, field), "")


@cache
def words(kind: EnumDescriptor) -> dict[int, str]:
    """The numbers of an enum with their words; UNSPECIFIED is none."""
    prefix = kind.values[0].name.removesuffix("UNSPECIFIED")
    return {value.number: value.name.removeprefix(prefix).lower() for value in kind.values if value.number}


class Stub:
    """The methods of a service for a client, such as `await Stub(channel, "StepService").GetStep(request)`.

    The channel is one of grpc.aio, or of grpc, then without `await`.
    """

    def __init__(self, channel: Any, service: str) -> None:
        for name, method in methods(service).items():
            sent = "stream" if method.client_streaming else "unary"
            told = "stream" if method.server_streaming else "unary"
            call = getattr(channel, f"{sent}_{told}")
            answer = class_of(method.output_type)
            request = class_of(method.input_type)
            made = call(
                path(method), request_serializer=request.SerializeToString, response_deserializer=answer.FromString
            )
            setattr(self, name, made)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the service has no method {name}")
