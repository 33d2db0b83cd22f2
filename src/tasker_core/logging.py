"""Log lines of handlers, with fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from tasker_core.types import LogContext

Fields = Mapping[str, Any] | LogContext | None
_log = structlog.get_logger("tasker_core")


def log_error(message: str, fields: Fields = None) -> None:
    """Something failed."""
    _log.error(message, **_texts(fields))


def log_warn(message: str, fields: Fields = None) -> None:
    """Something is odd."""
    _log.warning(message, **_texts(fields))


def log_info(message: str, fields: Fields = None) -> None:
    """Something happened."""
    _log.info(message, **_texts(fields))


def log_debug(message: str, fields: Fields = None) -> None:
    """For those who look for a mistake."""
    _log.debug(message, **_texts(fields))


def log_trace(message: str, fields: Fields = None) -> None:
    """The same, in more detail; the lines are those of debug."""
    _log.debug(message, **_texts(fields))


def _texts(fields: Fields) -> dict[str, str]:
    values = fields.to_dict() if isinstance(fields, LogContext) else dict(fields or {})
    # `event` is the name of the message itself.
    return {f"{key}_" if key == "event" else str(key): str(value) for key, value in values.items() if value is not None}
