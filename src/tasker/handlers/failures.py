"""From what a handler raised to the error record that is kept, and to the outcome that is reported.

The record has the keys error_type, error_class, message, error_code, retryable, traceback and metadata, and
is_dependency_failure where that is true. Whatever the exception carries, the record is valid JSON without NUL, and
bounded.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, cast

import orjson

from tasker.handlers.results import plain_json
from tasker.model.errors import StepError
from tasker.model.outcome import Outcome, OutcomeKind, failed, retryable

MESSAGE_MAX_BYTES = 4096
TRACEBACK_MAX_BYTES = 8192
METADATA_MAX_BYTES = 8192
ERROR_CODE_MAX_BYTES = 255
RETRY_AFTER_MAX_S = 366 * 86_400.0
FRAMES_MAX = 100


def outcome_of_error(exc: BaseException) -> Outcome:
    """What to report when the handler raised: failed for errors that say so, retryable for all others."""
    kind, error_json, retry_after_s = encode_error(exc)
    return failed(error_json) if kind == "failed" else retryable(error_json, retry_after_s)


def encode_error(exc: BaseException) -> tuple[OutcomeKind, str, float | None]:
    """The outcome's kind, the error record as JSON text, and the wait that the error asks for in seconds.

    Of an exception group one error decides: a permanent one if there is any, else the one that asks for the longest
    wait. Errors that a handler raises on purpose keep a traceback only where another exception caused them.
    """
    deciding = _deciding_error(exc)
    metadata: dict[str, Any] = {}
    retry_after_s: float | None = None
    is_retryable = True
    error_type, error_code = "handler_error", None
    if isinstance(deciding, StepError):
        metadata = _bounded_metadata(deciding.metadata)
        is_retryable = bool(deciding.retryable)
        error_type = clean_text(str(deciding.error_type), ERROR_CODE_MAX_BYTES)
        if deciding.error_code is not None:
            error_code = clean_text(_shown(deciding.error_code), ERROR_CODE_MAX_BYTES)
        retry_after_s = _wait_asked_for(deciding.retry_after, metadata)
    record = {
        "error_type": error_type,
        "error_class": _class_name(deciding),
        "message": clean_text(_shown(deciding) or type(deciding).__name__, MESSAGE_MAX_BYTES),
        "error_code": error_code,
        "retryable": is_retryable,
        "traceback": _traceback_of(exc) if _needs_traceback(exc) else None,
        "metadata": metadata,
    }
    if isinstance(deciding, StepError) and deciding.is_dependency_failure:
        record["is_dependency_failure"] = True
    return "retryable" if is_retryable else "failed", orjson.dumps(record).decode(), retry_after_s


def clean_text(text: str, limit_bytes: int) -> str:
    """The text without NUL and lone surrogates, its middle cut out where it is longer than the limit in UTF-8."""
    data = text.encode("utf-8", "backslashreplace").replace(b"\0", b"\\x00")
    if len(data) > limit_bytes:
        note = f"\n… {len(data) - limit_bytes} bytes left out …\n".encode()
        kept = max(0, limit_bytes - len(note))
        # The end of a traceback says what happened, its beginning where it came from.
        data = data[: kept // 4] + note + data[len(data) - (kept - kept // 4) :]
    return data.decode("utf-8", "ignore")


def _deciding_error(exc: BaseException) -> BaseException:
    if not isinstance(exc, BaseExceptionGroup):
        return exc
    group = cast("BaseExceptionGroup[BaseException]", exc)
    raised = [error for error in _leaves(group) if isinstance(error, StepError)]
    if permanent := next((error for error in raised if not error.retryable), None):
        return permanent
    return max(raised, key=lambda error: _seconds(error.retry_after) or 0.0, default=group)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        is_group = isinstance(error, BaseExceptionGroup)
        leaves.extend(_leaves(cast("BaseExceptionGroup[BaseException]", error)) if is_group else [error])
    return leaves


def _seconds(wish: Any) -> float | None:
    """The wait as a finite number that is not negative; None where it is not one."""
    try:
        seconds = wish.total_seconds() if isinstance(wish, timedelta) else float(wish)
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _wait_asked_for(wish: Any, metadata: dict[str, Any]) -> float | None:
    if wish is None:
        return None
    seconds = _seconds(wish)
    if seconds is None:
        metadata["retry_after_ignored"] = clean_text(_shown(wish), ERROR_CODE_MAX_BYTES)
    elif seconds > RETRY_AFTER_MAX_S:
        metadata["retry_after_shortened_from"] = seconds
        seconds = RETRY_AFTER_MAX_S
    return seconds


def _bounded_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in metadata.items():
        try:
            plain = plain_json(value)
        except StepError:
            plain = clean_text(_shown(value), MESSAGE_MAX_BYTES)
        kept[clean_text(_shown(key), ERROR_CODE_MAX_BYTES)] = plain
    size = len(orjson.dumps(kept))
    if size > METADATA_MAX_BYTES:
        return {"left_out": f"{size} bytes of metadata, the limit is {METADATA_MAX_BYTES}"}
    return kept


def _shown(value: object) -> str:
    try:
        return str(value)
    except Exception as error:
        # An exception with a broken __str__ is still the failure to record.
        return f"a {type(value).__name__} whose text cannot be had: its __str__ raised {type(error).__name__}"


def _class_name(exc: BaseException) -> str:
    kind = type(exc)
    return clean_text(f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."), ERROR_CODE_MAX_BYTES)


def _needs_traceback(exc: BaseException) -> bool:
    return not isinstance(exc, StepError) or exc.__cause__ is not None


def _traceback_of(exc: BaseException) -> str | None:
    try:
        lines = traceback.format_exception(type(exc), exc, _users_frames(exc.__traceback__), limit=-FRAMES_MAX)
    except Exception as error:
        # The same broken __str__, met by the formatter.
        return f"the traceback cannot be shown: {type(error).__name__}"
    return clean_text("".join(lines), TRACEBACK_MAX_BYTES)


def _users_frames(frames: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame that is not Tasker's own; all of it where there is none."""
    frame = frames
    while frame is not None:
        module = frame.tb_frame.f_globals.get("__name__", "")
        if not module.startswith("tasker."):
            return frame
        frame = frame.tb_next
    return frames
