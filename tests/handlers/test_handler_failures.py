"""What becomes of the exceptions that handlers raise."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.handlers import encode_error, outcome_of_error
from tasker.handlers.failures import MESSAGE_MAX_BYTES, TRACEBACK_MAX_BYTES, clean_text
from tasker.model import errors
from tasker.model.errors import PermanentError, RetryableError, StepError

KEYS = {"error_type", "error_class", "message", "error_code", "retryable", "traceback", "metadata"}
DEPENDENCY_FAILURES = ("NetworkError", "ServiceUnavailableError")


def raised(exc: BaseException) -> BaseException:
    try:
        raise exc
    except BaseException as caught:
        return caught


def record_of(exc: BaseException) -> dict[str, Any]:
    return json.loads(encode_error(exc)[1])


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, "retryable") for name in ("RetryableError", "StepTimeoutError", "NetworkError", "RateLimitError")]
    + [(name, "retryable") for name in ("ServiceUnavailableError", "ResourceContentionError", "StepError")]
    + [(name, "failed") for name in ("PermanentError", "StepValidationError", "NotFoundError", "ResultTooLarge")]
    + [(name, "failed") for name in ("AuthenticationError", "AuthorizationError", "ConfigurationError")]
    + [("BusinessLogicError", "failed")],
)
def test_the_class_of_an_error_decides(name, kind):
    """Each error of the family is passing or permanent, and its record has the same seven keys, and an eighth for those
    that only a system which is down can cause."""
    outcome = outcome_of_error(raised(getattr(errors, name)("it broke", error_code="E1", metadata={"a": 1})))
    record = json.loads(outcome.payload or "")

    assert outcome.kind == kind
    assert set(record) == KEYS | ({"is_dependency_failure"} if name in DEPENDENCY_FAILURES else set())
    assert record["message"] == "it broke"
    assert record["error_code"] == "E1"
    assert record["metadata"] == {"a": 1}
    assert record["retryable"] is (kind == "retryable")
    assert record["error_class"] == f"tasker.model.errors.{name}"


def test_an_error_may_say_otherwise_than_its_class():
    """`retryable=` and `is_dependency_failure=` given to an error overrule its class."""
    assert outcome_of_error(StepError("x", retryable=False)).kind == "failed"
    assert outcome_of_error(PermanentError("x", retryable=True)).kind == "retryable"
    assert record_of(PermanentError("x", is_dependency_failure=True))["is_dependency_failure"] is True
    assert "is_dependency_failure" not in record_of(errors.NetworkError("x", is_dependency_failure=False))


def test_any_other_exception_is_retryable_with_its_traceback():
    """An unforeseen exception is tried again, and its type and the place where it was raised are kept."""
    outcome = outcome_of_error(raised(ZeroDivisionError("division by zero")))
    record = json.loads(outcome.payload or "")

    assert outcome.kind == "retryable"
    assert (record["error_type"], record["error_class"]) == ("handler_error", "ZeroDivisionError")
    assert "in raised" in record["traceback"]
    assert record["traceback"].endswith("ZeroDivisionError: division by zero\n")


def test_an_error_raised_on_purpose_keeps_a_traceback_only_of_its_cause():
    """A deliberate error is its own explanation, unless another exception led to it."""
    assert record_of(raised(PermanentError("declined")))["traceback"] is None

    caused = PermanentError("declined")
    caused.__cause__ = raised(KeyError("token"))
    assert "KeyError: 'token'" in record_of(raised(caused))["traceback"]


def test_the_engines_own_frames_are_left_out():
    """A traceback begins with the user's code."""
    assert "tasker/handlers" not in record_of(raised(ValueError("x")))["traceback"]


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [(30, 30.0), (0, 0.0), (0.25, 0.25), ("7", 7.0), (timedelta(minutes=1), 60.0), (None, None)],
)
def test_a_wish_for_a_wait_is_passed_on(wish, seconds):
    """`retry_after` becomes the outcome's wait in seconds."""
    assert outcome_of_error(RetryableError("busy", retry_after=wish)).retry_after_s == seconds


@pytest.mark.parametrize("wish", [-1, math.nan, math.inf, "soon", [], 10**400])
def test_a_wish_that_is_no_wait_is_ignored_with_a_note(wish):
    """A negative, infinite or unreadable `retry_after` changes nothing, and the record says that it was ignored."""
    outcome = outcome_of_error(RetryableError("busy", retry_after=wish))

    assert (outcome.kind, outcome.retry_after_s) == ("retryable", None)
    assert "retry_after_ignored" in json.loads(outcome.payload or "")["metadata"]


def test_a_wish_beyond_a_year_is_shortened():
    """No wait is longer than a year, so that the database can add it to a time."""
    outcome = outcome_of_error(RetryableError("busy", retry_after=1e300))

    assert outcome.retry_after_s == 366 * 86_400
    assert json.loads(outcome.payload or "")["metadata"] == {"retry_after_shortened_from": 1e300}


def test_a_permanent_error_decides_for_its_group():
    """Of an exception group a permanent error decides, else the one that asks for the longest wait."""
    plain, busy = ValueError("x"), RetryableError("busy", retry_after=5)
    busier = RetryableError("busier", retry_after=9)
    declined = PermanentError("declined", error_code="DECLINED")

    mixed = outcome_of_error(ExceptionGroup("all", [plain, busy, ExceptionGroup("inner", [declined])]))
    passing = outcome_of_error(ExceptionGroup("all", [plain, busy, busier]))
    others = outcome_of_error(ExceptionGroup("all", [plain]))

    assert mixed.kind == "failed"
    assert json.loads(mixed.payload or "")["error_code"] == "DECLINED"
    assert "ValueError: x" in json.loads(mixed.payload or "")["traceback"]
    assert (passing.kind, passing.retry_after_s) == ("retryable", 9.0)
    assert json.loads(others.payload or "")["error_class"] == "ExceptionGroup"


def test_a_long_traceback_keeps_its_end():
    """A traceback is bounded, and what is left out is its middle."""

    def fall(depth: int) -> None:
        names = {f"name_{depth}": "x" * 200}
        if depth == 0:
            raise ValueError("the bottom " + "y" * 50)
        eval(f"fall({depth} - 1) or {'1 + ' * 100} 1", {"fall": fall, **names})  # noqa: S307

    with pytest.raises(ValueError, match="bottom") as caught:
        fall(60)
    text = record_of(caught.value)["traceback"]

    assert len(text.encode()) <= TRACEBACK_MAX_BYTES
    assert "left out" in text
    assert text.startswith("Traceback")
    assert "the bottom" in text[-200:]


def test_recursion_without_end_is_an_ordinary_failure():
    """A handler that calls itself for ever gives a bounded record like any other."""

    def forever() -> None:
        forever()

    with pytest.raises(RecursionError) as caught:
        forever()

    assert len(encode_error(caught.value)[1]) < 3 * TRACEBACK_MAX_BYTES


class Unshowable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_an_exception_that_cannot_be_shown_is_recorded():
    """An exception whose text raises is a failure like any other."""
    record = record_of(raised(Unshowable()))

    assert "whose text cannot be had" in record["message"]
    assert record["error_class"].endswith("Unshowable")


def test_metadata_that_is_no_json_is_kept_as_text():
    """What an error carries beside its message never stands in the way of recording it."""
    record = record_of(PermanentError("x", metadata={"o": object(), "nan": math.nan, "n\0ul": "a\0b", "fine": [1]}))
    large = record_of(PermanentError("x", metadata={"a": "y" * 10_000}))

    assert record["metadata"]["fine"] == [1]
    assert record["metadata"]["o"].startswith("<object object")
    assert record["metadata"]["nan"] == "nan"
    assert record["metadata"]["n\\x00ul"] == "a\\x00b"
    assert "bytes of metadata" in large["metadata"]["left_out"]


def test_an_error_without_text_is_named_by_its_class():
    """A message is never empty."""
    assert record_of(PermanentError())["message"] == "PermanentError"
    assert record_of(RuntimeError())["message"] == "RuntimeError"


@given(st.text(st.characters()), st.integers(100, 300))
def test_cleaned_text_can_be_stored(text, limit):
    """Cleaned text has no NUL and no lone surrogate and fits its limit; text that needs nothing is not changed."""
    cleaned = clean_text(text, limit)

    assert "\0" not in cleaned
    assert len(cleaned.encode()) <= limit
    fits = "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
    if fits and len(text.encode()) <= limit:
        assert cleaned == text


@given(st.text(st.characters(), max_size=10_000), st.text(st.characters()))
def test_any_message_gives_a_record(message, code):
    """Whatever text an exception carries, its record is valid JSON that PostgreSQL takes."""
    _, error_json, _ = encode_error(PermanentError(message, error_code=code, metadata={message: code}))

    error_json.encode()
    assert len(json.loads(error_json)["message"].encode()) <= MESSAGE_MAX_BYTES
    assert "\\u0000" not in error_json.replace("\\\\", "")
