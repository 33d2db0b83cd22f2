"""From errors to exit codes and messages: the one place that decides both."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from tasker.model import errors

OK = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
CONFLICT = 4
DATABASE = 5
INVALID = 6
TIMEOUT = 7
STARTUP_CODES = range(USAGE, TIMEOUT + 1)
"""Of a worker process that could not begin: starting it again would not help."""
FAULT = 70
AWAY = 75
"""Of a worker process that did not find the database which its parent had found: it is started again."""
DRAINED = 76
"""Of a worker process that an operator drained: none takes its place."""
INTERRUPTED = 130


class UsageError(errors.SettingsError):
    """A command is called with words that it does not know."""

    code = "usage"


@cache
def codes() -> dict[type[BaseException], int]:
    """The exit code of each family of errors; whatever is in none of them is a fault of Tasker's own."""
    from tasker.store.reads import DRIVER_ERRORS

    return {
        errors.SettingsError: USAGE,
        errors.TaskNotFound: NOT_FOUND,
        errors.StepNotFound: NOT_FOUND,
        errors.TemplateNotFound: NOT_FOUND,
        errors.ApiKeyNotFound: NOT_FOUND,
        errors.NotFound: NOT_FOUND,
        errors.BreakerNotFound: NOT_FOUND,
        errors.ActionForbidden: CONFLICT,
        errors.IdentityConflict: CONFLICT,
        errors.KeyInFlight: CONFLICT,
        errors.TemplateConflict: CONFLICT,
        errors.DatabaseUnavailable: DATABASE,
        errors.SchemaOutdated: DATABASE,
        errors.ServerUnavailable: DATABASE,
        errors.EmbeddedPostgresError: DATABASE,
        errors.WrongIsolation: DATABASE,
        **dict.fromkeys((*DRIVER_ERRORS, ConnectionError), DATABASE),
        errors.TemplateError: INVALID,
        errors.InvalidInput: INVALID,
        errors.PayloadTooLarge: INVALID,
        errors.HandlerNotFound: INVALID,
        errors.InvalidHandler: INVALID,
        errors.WaitTimeout: TIMEOUT,
        errors.TaskerError: FAILED,
        KeyboardInterrupt: INTERRUPTED,
    }


def exit_code(error: BaseException) -> int:
    """The exit code of a command that an error ended: that of the nearest class in the error's family."""
    return next((codes()[kind] for kind in type(error).__mro__ if kind in codes()), FAULT)


def say(error: BaseException, *, as_json: bool) -> None:
    """Tells an error on stderr: for people a line (or one for each thing that is wrong), for machines an object."""
    import orjson

    code = exit_code(error)
    message = _message(error, code)
    if as_json:
        document: dict[str, Any] = {"code": _word(error), "message": message, "exit_code": code}
        for detail in ("problems", "violations", "task_uuid"):
            if getattr(error, detail, None):
                document[detail] = getattr(error, detail)
        print(orjson.dumps({"error": document}).decode(), file=sys.stderr)
    else:
        print(f"tasker: {message}", file=sys.stderr)


def _message(error: BaseException, code: int) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if code == FAULT:
        return f"a fault in Tasker: {type(error).__name__}: {error} (TASKER_DEBUG=1 shows where)"
    if code == DATABASE and not isinstance(error, errors.TaskerError):
        return f"the database refuses, or the connection was cut: {error}"
    return str(error)


def _word(error: BaseException) -> str:
    if isinstance(error, errors.TaskerError):
        return error.code
    return {DATABASE: "database_error", INTERRUPTED: "interrupted"}.get(exit_code(error), "fault")
