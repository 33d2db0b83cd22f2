"""SQLSTATEs to exceptions, in one table."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal
from uuid import UUID

import asyncpg

from tasker.model import errors

_BY_SQLSTATE: dict[str, type[errors.TaskerError]] = {
    "TK001": errors.SettingsError,
    "TK002": errors.WrongIsolation,
    "TK003": errors.TemplateNotFound,
    "TK004": errors.InvalidInput,
    "TK006": errors.KeyInFlight,
    "TK007": errors.PayloadTooLarge,
    "TK008": errors.InvalidInput,
    "TK009": errors.InvalidInput,
    "TK010": errors.TaskNotFound,
    "TK011": errors.StepNotFound,
    "TK012": errors.ActionForbidden,
    "TK013": errors.TemplateConflict,
    "TK015": errors.InvalidInput,
    "TK016": errors.Forbidden,
    "TK020": errors.NotFound,
    "TK021": errors.TurnSuperseded,
    "TK018": errors.BreakerNotFound,
    "42883": errors.SchemaOutdated,  # undefined function
    "3F000": errors.SchemaOutdated,  # undefined schema
    "42P01": errors.SchemaOutdated,  # undefined table
}

CONNECTION_ERRORS = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
"""The database is away, or the connection was cut: what was asked may or may not have happened."""

EXHAUSTED_ERRORS = (asyncpg.InsufficientResourcesError, asyncpg.ReadOnlySQLTransactionError)
"""The database can take nothing at the moment: its disk or memory is full, or it may only be read. Nothing was done."""

DatabaseError = asyncpg.PostgresError
"""The database answered, and refused."""

Refusal = Literal["data", "conflict", "busy", "stuck", "away"]
_REFUSALS: dict[str, Refusal] = {
    "22": "data",  # data exceptions
    "23": "data",  # constraints
    "54": "data",  # limits of the program: too large, too deep
    "40": "conflict",  # deadlock, serialization
    "55P03": "busy",  # a lock was not to be had in time
    "P0": "stuck",  # raised by somebody's own function
    "XX": "stuck",  # internal error: one row may be damaged
}


def refusal(error: asyncpg.PostgresError) -> Refusal:
    """Why a batch was refused: for its `data`, for a `conflict` that is over now, because somebody holds its task
    (`busy`), because one of its rows is `stuck`, or because the database can do nothing at the moment (`away`)."""
    sqlstate = str(getattr(error, "sqlstate", "") or "")
    return _REFUSALS.get(sqlstate) or _REFUSALS.get(sqlstate[:2], "away")


class RefusedElsewhere(asyncpg.PostgresError):
    """A server says that the database refused, and of which kind that was."""

    def __init__(self, reason: Refusal, message: str) -> None:
        super().__init__(message)
        self.sqlstate = next((state.ljust(5, "0") for state, kind in _REFUSALS.items() if kind == reason), "57000")


def translated(error: asyncpg.PostgresError) -> Exception:
    """The exception of Tasker that an error of the database stands for; the error itself where it stands for none."""
    message = str(error.args[0]) if error.args else str(error)
    sqlstate, detail, hint = (getattr(error, name, None) for name in ("sqlstate", "detail", "hint"))
    full = f"{message} ({hint})" if hint else message
    if sqlstate == "TK005":
        return errors.IdentityConflict(full, UUID(detail) if detail else None)
    kind = _BY_SQLSTATE.get(sqlstate or "")
    if kind is errors.SchemaOutdated:
        return kind(f"the database lacks what this version of Tasker needs: {message} (run `tasker db migrate`)")
    return kind(full) if kind else error


@contextmanager
def translating() -> Generator[None]:
    """Raises Tasker's exceptions for the database's."""
    try:
        yield
    except asyncpg.PostgresError as error:
        better = translated(error)
        if better is error:
            raise
        raise better from error
