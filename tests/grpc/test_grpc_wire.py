"""From messages to plain values and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker import proto
from tasker.model.errors import InvalidInput
from tasker.model.states import StepState, TaskState
from tasker.server.grpc.wire import plain, written

whole = st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1)
scalars = st.none() | st.booleans() | whole | st.text() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(scalars, lambda one: st.lists(one, max_size=4) | st.dictionaries(st.text(), one, max_size=4))


@given(st.dictionaries(st.text(), values, max_size=5))
def test_json_comes_back_as_it_was(context: dict[str, Any]) -> None:
    """Whatever JSON holds goes through a Struct unchanged."""
    message = written(proto.message("CreateTaskRequest").DESCRIPTOR, {"name": "a", "context": context})
    back = plain(proto.message("CreateTaskRequest").FromString(message.SerializeToString()))
    assert back == {"name": "a", "context": context}


@given(st.lists(whole))
def test_whole_numbers_are_integers(numbers: list[int]) -> None:
    """What a Struct holds as a double is an integer where JSON has one."""
    message = proto.message("CreateTaskRequest")()
    message.context.update({"a": [float(one) for one in numbers]})
    back = plain(message)["context"]["a"]
    assert (back, {type(one) for one in back} <= {int}) == (numbers, True)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9000, 1, 1), timezones=st.just(UTC)))
def test_times_come_back_as_they_were(at: datetime) -> None:
    """To the microsecond, and in UTC."""
    message = written(proto.message("Task").DESCRIPTOR, {"created_at": at})
    assert plain(message) == {"created_at": at}


def test_every_state_has_a_word() -> None:
    """Each state that the engine has is one of the enum's, and each of the enum's is one of the engine."""
    for kind, states, name in (("Task", TaskState, "status"), ("Step", StepState, "current_state")):
        descriptor = proto.message(kind).DESCRIPTOR
        words = {plain(written(descriptor, {name: state}))["state"] for state in states}
        assert words == {state.value for state in states}
        assert len(descriptor.fields_by_name["state"].enum_type.values) == len(words) + 1


def test_what_is_not_known_is_left_out() -> None:
    """None and what an answer lacks are absent; zero, false and the empty text are told where they can be."""
    message = written(proto.message("Task").DESCRIPTOR, {"priority": 0, "completed_at": None, "tags": []})
    assert [field.name for field, _ in message.ListFields()] == ["priority"]
    assert plain(message) == {"priority": 0}


def test_a_result_that_is_no_object_is_in_one() -> None:
    """A Struct is an object: another result is its field `result`."""
    assert plain(written(proto.message("Step").DESCRIPTOR, {"results": [1, "a"]})) == {"results": {"result": [1, "a"]}}


@pytest.mark.parametrize(
    ("message", "fields", "says"),
    [
        ("ListTasksRequest", {"states": [1, 77]}, "states: 77"),
        ("CreateTaskRequest", {"start_at": {"seconds": 10**13}}, "start_at"),
        ("CreateTaskRequest", {"context": {"a": [float("nan")]}}, r"context\.a\[0\]: nan"),
    ],
)
def test_what_means_nothing_is_told_with_its_place(message: str, fields: dict[str, Any], says: str) -> None:
    """Numbers beyond an enum, times beyond the calendar, and what is no number."""
    with pytest.raises(InvalidInput, match=says):
        plain(proto.message(message)(**fields))
