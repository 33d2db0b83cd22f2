"""The services are those that were published: every name and number, and an operation behind each method."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import published
import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor
from pydantic import BaseModel

from tasker import proto
from tasker.server.grpc.asked import Method
from tasker.server.grpc.errors import CODES, NEARER
from tasker.server.grpc.methods import METHODS, STREAMS
from tasker.server.grpc.wire import sources
from tasker.server.rest.routes import ROUTES

OURS_FROM = 100
OURS = "OperationService/", "WorkerGateway/"
TWINS = {
    "TaskService/CreateTask": "POST /v1/tasks",
    "TaskService/GetTask": "GET /v1/tasks/{task_uuid}",
    "TaskService/ListTasks": "GET /v1/tasks",
    "TaskService/CancelTask": "DELETE /v1/tasks/{task_uuid}",
    "TaskService/GetTaskContext": "GET /v1/tasks/{task_uuid}/context",
    "TaskService/GetTaskSummary": "GET /v1/tasks/{task_uuid}/summary",
    "StepService/GetStep": "GET /v1/tasks/{task_uuid}/workflow_steps/{step_uuid}",
    "StepService/ListSteps": "GET /v1/tasks/{task_uuid}/workflow_steps",
    "StepService/ResolveStep": "PATCH /v1/tasks/{task_uuid}/workflow_steps/{step_uuid}",
    "StepService/GetStepAudit": "GET /v1/tasks/{task_uuid}/workflow_steps/{step_uuid}/audit",
    "TemplateService/ListTemplates": "GET /v1/templates",
    "TemplateService/GetTemplate": "GET /v1/templates/{namespace}/{name}/{version}",
    "AnalyticsService/GetPerformanceMetrics": "GET /v1/analytics/performance",
    "AnalyticsService/GetBottleneckAnalysis": "GET /v1/analytics/bottlenecks",
    "DlqService/ListEntries": "GET /v1/dlq",
    "DlqService/GetEntryByTask": "GET /v1/dlq/task/{task_uuid}",
    "DlqService/UpdateInvestigation": "PATCH /v1/dlq/entry/{dlq_entry_uuid}",
    "DlqService/GetStats": "GET /v1/dlq/stats",
    "DlqService/GetInvestigationQueue": "GET /v1/dlq/investigation-queue",
    "DlqService/GetStalenessMonitoring": "GET /v1/dlq/staleness",
    "ConfigService/GetConfig": "GET /config",
}
"""The published methods, and the routes of REST that are the same use case."""
ANSWERED = {f"{one.service}/{one.name}" for one in (*METHODS, *STREAMS)}


def _kind(field: Any) -> str:
    """The type of a field, as contract.txt writes it."""
    named = field.message_type or field.enum_type
    if named is not None:
        return named.full_name.removeprefix("tasker.v1.")
    return descriptor_pb2.FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _label(field: Any) -> str:
    if field.is_repeated:
        return "repeated"
    return "optional" if field.containing_oneof is not None else ""


@pytest.mark.parametrize(("name", "lines"), [(n, ls) for kind, n, ls in published.blocks() if kind == "message"])
def test_every_message_is_as_published(name: str, lines: list[list[str]]) -> None:
    """Each field has its number, type and label; what is ours has numbers that nobody else gives."""
    fields = {field.number: field for field in proto.message(name).DESCRIPTOR.fields}
    for number, label, kind, field_name in map(published.field_of, lines):
        found = fields.pop(number)
        assert (found.name, _label(found), _kind(found)) == (field_name, label, kind)
    assert all(number >= OURS_FROM for number in fields)


@pytest.mark.parametrize(("name", "lines"), [(n, ls) for kind, n, ls in published.blocks() if kind == "enum"])
def test_every_enum_is_as_published(name: str, lines: list[list[str]]) -> None:
    """Each word has its number, and there is no other."""
    found = proto.pool().FindEnumTypeByName(f"tasker.v1.{name}")
    assert {value.number: value.name for value in found.values} == {int(number): word for number, word in lines}


def test_every_method_is_as_published() -> None:
    """Each method takes and gives the messages that it did; what is ours is a service of its own."""
    found = {
        f"{service}/{name}": (method.input_type.name, method.output_type.name, method.server_streaming)
        for service in proto.services()
        for name, method in proto.methods(service).items()
    }
    assert {name: one for name, one in found.items() if not name.startswith(OURS)} == published.methods()
    assert len(published.methods()) == 33


def test_the_descriptors_are_those_of_the_files(tmp_path: Path) -> None:
    """What is committed compiled is what the .proto files say: `scripts/protos.sh` was run."""
    pytest.importorskip("grpc_tools", reason="the compiler comes with the development group alone")
    folder, made = Path(proto.__file__).parent, tmp_path / "made.binpb"
    files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", ".", f"--descriptor_set_out={made}", *files]
    subprocess.run(command, check=True, cwd=folder)
    compiled = descriptor_pb2.FileDescriptorSet.FromString(made.read_bytes()).file
    committed = {file.name: file for file in proto.descriptor_set().file}
    assert len(compiled) == 11
    for file in compiled:
        assert committed[file.name] == file, f"{file.name} has changed: run scripts/protos.sh"


def test_every_published_method_is_answered() -> None:
    """No method lacks an answer."""
    assert set(published.methods()) - ANSWERED == set()


def test_a_method_is_the_operation_of_its_route() -> None:
    """A use case that both faces have is one operation, so permissions and confinement are the same."""
    operations = {f"{route.method} {route.path}": route.operation for route in ROUTES}
    methods = {f"{one.service}/{one.name}": one for one in METHODS}
    shared = {name for name, route in TWINS.items() if route in operations and name in methods}
    assert len(shared) == len(TWINS)
    for name in shared:
        assert methods[name].operation is operations[TWINS[name]], name
    for method in METHODS:
        if method.operation is None and not method.is_open:
            assert method.service == "OperationService"
        assert method.is_open == method.service.endswith("HealthService"), method


LEFT_OUT = {"Step.backoff_request_seconds"}
"""Fields that no answer has: `next_retry_at` tells when."""


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    """The models inside of a type."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    elif get_origin(kind) in (list, UnionType) or get_args(kind):
        for one in get_args(kind):
            yield from _models(one)


def _lacking(kind: Descriptor, model: type[BaseModel]) -> Iterator[str]:
    """Fields of a message that a model has no value for, through messages inside of messages."""
    for name, source in sources(kind).items():
        field = kind.fields_by_name[name]
        if source not in model.model_fields:
            yield f"{kind.name}.{name}"
        elif field.message_type is not None and not field.message_type.full_name.startswith("google."):
            for inner in _models(model.model_fields[source].annotation):
                yield from _lacking(field.message_type, inner)


ANSWERS = {
    "AnalyticsService/GetPerformanceMetrics": None, "AnalyticsService/GetBottleneckAnalysis": None,
    "TaskService/CreateTask": "task", "TaskService/GetTaskContext": "context", "TaskService/GetTaskSummary": None,
    "StepService/GetStep": "step", "StepService/GetStepAudit": "audit_records", "TemplateService/ListTemplates": None,
    "TemplateService/GetTemplate": "template", "DlqService/ListEntries": "entries",
    "DlqService/GetEntryByTask": "entry", "DlqService/UpdateInvestigation": None, "DlqService/GetStats": "stats",
    "DlqService/GetInvestigationQueue": "entries", "DlqService/GetStalenessMonitoring": "entries",
    "ConfigService/GetConfig": None,
}  # fmt: skip
"""Methods that answer what their operation does, as a whole or in one field."""


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_has_every_field(name: str) -> None:
    """Whatever a message can say, the operation's answer knows under that name: a renamed field is noticed here."""
    method = next(one for one in METHODS if f"{one.service}/{one.name}" == name)
    kind, inside = proto.methods(method.service)[method.name].output_type, ANSWERS[name]
    assert isinstance(method, Method) and method.operation is not None
    message = kind.fields_by_name[inside].message_type if inside else kind
    (model,) = _models(method.operation.answer)
    assert set(_lacking(message, model)) <= LEFT_OUT


def test_the_page_names_every_method() -> None:
    """docs/grpc.md has each method with its permission, and no other; each status has its row."""
    page = (Path(__file__).parents[2] / "docs" / "grpc.md").read_text()
    rows = re.findall(r"^\| `(\w+/\w+)` \|.*\| ([\w:' ]+) \|$", page, re.MULTILINE)
    named = {name: permission for name, permission in rows if not name.startswith(OURS)}
    closed = {f"{one.service}/{one.name}": one.operation for one in METHODS if one.operation is not None}
    assert named == {name: one.permission for name, one in closed.items()} | {
        "TaskService/StreamTaskStatus": "tasks:read"
    }
    assert {name for name, _ in rows} - set(named) == {
        f"{service}{name}" for service in OURS for name in proto.methods(service.rstrip("/"))
    }
    for status in {*CODES.values(), *NEARER.values()}:
        assert f"`{status.name}`" in page
