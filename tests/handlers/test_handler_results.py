"""What becomes of the values that handlers return."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, RootModel

from tasker.handlers import encode_result, outcome_of_result
from tasker.model.errors import ResultTooLarge, StepValidationError


class Colour(Enum):
    RED = "red"


class Item(BaseModel):
    name: str
    price: Decimal
    at: datetime | None = None


class Names(RootModel[list[str]]):
    pass


class Broken(BaseModel):
    thing: Any


class Reading(BaseModel):
    value: float


@dataclass
class Point:
    x: float
    y: float
    _cache: dict[str, int] = field(default_factory=dict)


class Pair(NamedTuple):
    left: int
    right: int


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (None, {}),
        ({}, {}),
        ({"a": [1, 2.5, "x", True, None]}, {"a": [1, 2.5, "x", True, None]}),
        (Item(name="a", price=Decimal("1.10")), {"name": "a", "price": "1.10", "at": None}),
        (Point(1, 2), {"x": 1, "y": 2}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (5, {"result": 5}),
        ("text", {"result": "text"}),
        (False, {"result": False}),
        ([1, 2], {"result": [1, 2]}),
        ((1, 2), {"result": [1, 2]}),
        (Pair(1, 2), {"result": [1, 2]}),
        (Names(["a"]), {"result": ["a"]}),
        (Colour.RED, {"result": "red"}),
    ],
)
def test_the_shape_of_a_result(value, kept):
    """Objects stay objects, None is the empty object, and any other value lies under `result`."""
    assert json.loads(encode_result(value)) == kept


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("10.20"), "10.20"),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({1, "a"}), ["a", 1]),
        (timedelta(minutes=1), 60.0),
        (PurePosixPath("/a/b"), "/a/b"),
        (Colour.RED, "red"),
        (2**64 - 1, 2**64 - 1),
        ({1: "a", None: "b", 1.5: "c"}, {"1": "a", "null": "b", "1.5": "c"}),
        ({Colour.RED: 1, UUID(int=1): 2}, {"red": 1, "00000000-0000-0000-0000-000000000001": 2}),
        ([Item(name="a", price=Decimal(1))], [{"name": "a", "price": "1", "at": None}]),
        (Point(1, 2), {"x": 1, "y": 2}),
        ("a \\u0000 that is spelled out", "a \\u0000 that is spelled out"),
        ("\U0001f600 é", "\U0001f600 é"),
    ],
)
def test_values_inside_a_result(value, kept):
    """Ordinary Python values have one sensible form in JSON, wherever in the result they lie."""
    assert json.loads(encode_result({"value": value})) == {"value": kept}
    assert json.loads(encode_result([{"value": value}])) == {"result": [{"value": kept}]}


def endless() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


async def forgotten() -> None:
    pass


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, float("nan")]}, r"\$\.a\[1\] is nan"),
        (float("-inf"), r"\$\.result is -inf"),
        ({"a": {"b": "x\0y"}}, r"\$\.a\.b has a NUL"),
        ({"a": {"b\0": 1}}, r"\$\.a \(a key\) has a NUL"),
        ({"a": ["ok", "\ud800"]}, r"\$\.a\[1\] has a lone surrogate \(at character 0\)"),
        ({"\udc00": 1}, r"lone surrogate"),
        ({"a": 2**64}, r"\$\.a is an integer of more than 64 bits"),
        ({"a": -(2**63) - 1}, r"\$\.a is an integer of more than 64 bits"),
        ({"a": object()}, r"\$\.a is a object, which has no form in JSON"),
        ({"a": b"x"}, r"\$\.a is bytes"),
        ({"a": lambda: None}, r"\$\.a is a function"),
        ({1: "a", "1": "b"}, r"\$ has two keys that are '1'"),
        ({(1, 2): "a"}, r"\$ has a key of type tuple"),
        ({"a": endless()}, r"more than 200 levels deep, or contains itself"),
        (Broken(thing=object()), r"\$"),
        ({"a": Broken(thing=object())}, r"\$\.a "),
        (Reading(value=float("nan")), r"\$\.value is nan"),
        (Point(float("inf"), 1), r"\$\.x is inf"),
    ],
)
def test_what_cannot_be_json_is_said_with_its_place(value, message):
    """A result that PostgreSQL could not keep is a permanent error that names the path of the bad value."""
    with pytest.raises(StepValidationError, match=message) as caught:
        encode_result(value)

    assert caught.value.retryable is False
    assert caught.value.error_code == "invalid_result"


def test_a_forgotten_await_is_named():
    """A handler that returns a coroutine is told to await it."""
    with pytest.raises(StepValidationError, match="is a coroutine: the handler did not await it"):
        encode_result(forgotten())


def test_a_result_over_the_limit_says_what_to_do():
    """The error names the size, the limit and the way out; a result of exactly the limit is kept."""
    assert len(encode_result({"a": "x" * 92}, 100)) == 100

    with pytest.raises(ResultTooLarge, match=r"has 101 bytes as JSON, the limit is 100: keep the data elsewhere"):
        encode_result({"a": "x" * 93}, 100)


def test_a_bad_result_is_a_failed_outcome():
    """A result that cannot be kept ends the step at once, and says why; a good one is a success."""
    good, bad = outcome_of_result({"a": 1}, 100), outcome_of_result({"a": float("nan")}, 100)
    record = json.loads(bad.payload or "")

    assert (good.kind, good.payload) == ("succeeded", '{"a":1}')
    assert bad.kind == "failed"
    assert record["error_type"] == "validation_error"
    assert record["retryable"] is False
    assert "$.a is nan" in record["message"]


scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(st.characters())
keys = st.text(st.characters(), max_size=3)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=6)


@given(st.dictionaries(keys, values, max_size=4))
def test_any_value_is_kept_unchanged_or_refused(value):
    """Whatever plain value a handler returns, what is kept is the same value, or it is refused: never altered."""
    try:
        text = encode_result(value)
    except StepValidationError:
        return

    assert json.loads(text) == value
    assert "\\u0000" not in text.replace("\\\\", "")
