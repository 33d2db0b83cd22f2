"""The messages of the stream say what the operations take and answer, and nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType
from typing import Any, get_args, get_origin
from uuid import UUID

import pytest
from google.protobuf.descriptor import Descriptor
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from tasker.operations import worker_words as words
from tasker.proto import gateway as messages
from tasker.server.grpc.gateway import ASKS
from tasker.server.rest.routes import ROUTES

REQUEST, ANSWER = messages.request_class().DESCRIPTOR, messages.answer_class().DESCRIPTOR


def _models(kind: Any) -> list[type[BaseModel]]:
    """The models inside of a type."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for one in get_args(kind) for model in _models(one)]


def _differences(message: Descriptor, model: type[BaseModel]) -> Iterator[str]:
    """Fields that only one of them has, here and inside."""
    known = {field.name: field for field in message.fields}
    for name in sorted(known.keys() ^ model.model_fields.keys()):
        yield f"{message.name}.{name}"
    for name in known.keys() & model.model_fields.keys():
        inner = known[name].message_type
        if inner is not None and [one.name for one in inner.fields] == ["items"]:
            inner = inner.fields[0].message_type
        models = _models(model.model_fields[name].annotation)
        if inner is not None and models:
            yield from _differences(inner, models[0])
        elif (inner is None) != (not models):
            yield f"{message.name}.{name} is a message on one side alone"


def test_every_call_of_workers_is_a_request() -> None:
    """The stream has each call that HTTP has, under the last part of its path."""
    paths = {route.path.rpartition("/")[2]: route.operation for route in ROUTES if route.is_for_workers}
    paths["open"] = paths.pop("sessions")
    assert paths == ASKS
    assert {field.name for field in REQUEST.oneofs_by_name[messages.ASKS].fields} == set(ASKS)
    assert {field.name for field in ANSWER.oneofs_by_name[messages.TELLS].fields} == {*ASKS, "refused"}


@pytest.mark.parametrize("what", ASKS)
def test_messages_have_the_fields_of_the_operations(what: str) -> None:
    """A field that an operation takes or answers is in its message under the same name, and no other is."""
    operation = ASKS[what]
    assert [*_differences(REQUEST.fields_by_name[what].message_type, operation.given)] == []
    assert [*_differences(ANSWER.fields_by_name[what].message_type, operation.answer)] == []


@pytest.mark.parametrize("what", ASKS)
def test_what_has_a_default_can_be_said(what: str) -> None:
    """A field whose default is not what nothing means knows whether it was said: zero, false and no list are said."""

    def unsayable(message: Descriptor, model: type[BaseModel]) -> Iterator[str]:
        for field in message.fields:
            about = model.model_fields[field.name]
            models = _models(about.annotation)
            if models and field.is_repeated:
                yield from unsayable(field.message_type, models[0])
            has_default = (not about.is_required() and about.default not in (0, False, "", [])) or _may_be_none(about)
            if has_default and not field.has_presence:
                yield f"{message.name}.{field.name}"

    assert [*unsayable(REQUEST.fields_by_name[what].message_type, ASKS[what].given)] == []


def _may_be_none(about: Any) -> bool:
    return NoneType in get_args(about.annotation) and get_origin(about.annotation) is not list


def test_a_field_that_is_missing_is_seen() -> None:
    """The comparison tells of a field that only one side has."""
    beat = REQUEST.fields_by_name["beat"].message_type
    assert "Beat.released" in set(_differences(beat, words.SessionEnded))


@settings(max_examples=60, deadline=None)
@given(results=st.lists(st.dictionaries(st.text(), st.text() | st.integers(-(2**63), 2**64 - 1)), max_size=3),
       held=st.none() | st.lists(st.integers(1, 9), max_size=2), claim=st.none() | st.booleans())  # fmt: skip
def test_what_is_said_is_heard(results: list[Any], held: list[int] | None, claim: bool | None) -> None:
    """A turn comes over as the operation would have read it from JSON: also no list, which is not an empty one."""
    task = UUID("0198c0de-0000-7000-8000-0000000000aa")
    fences = None if held is None else [{"task_uuid": task, "number": one, "attempt": 1} for one in held]
    said = {
        "session_uuid": task,
        "turn": 2**62,
        "outcomes": [
            {"task_uuid": task, "number": 1, "attempt": n + 1, "kind": "succeeded", "result": one, "run_s": 0.5}
            for n, one in enumerate(results)
        ],
        "held": fences,
        "free": [3, 0],
        "claim": claim,
    }
    sent = messages.said(REQUEST, {"request_id": 1, "turn": said}).SerializeToString()
    heard = messages.asked(messages.request_class().FromString(sent).turn)
    known = {name: value for name, value in said.items() if value is not None}
    assert words.TakeTurn.model_validate(heard) == words.TakeTurn.model_validate(known)
