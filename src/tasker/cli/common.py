"""What commands share: their common options, and the values that they take."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import orjson
from cyclopts import Parameter

from tasker.cli.exits import UsageError
from tasker.model.errors import InvalidInput

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """How a command prints."""

    json: Annotated[bool, Parameter(negative=(), show_default=False, help="Print one JSON document.")] = False


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Common(Output):
    """The options of every command that uses the database."""

    database_url: Annotated[
        str | None, Parameter(help="PostgreSQL to use, in place of TASKER_DATABASE_URL and of the embedded one.")
    ] = None


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Where(Common):
    """The options of every command that a server can do as well as a database."""

    url: Annotated[str | None, Parameter(help="The address of a server to use, in place of a database.")] = None
    profile: Annotated[str | None, Parameter(help="The server to use, by its name in the file of profiles.")] = None


TaskId = Annotated[UUID, Parameter(help="The task's id.")]
StepName = Annotated[str, Parameter(help="The step's name.")]
Seconds = float


def flag(text: str) -> Any:
    """A flag without its opposite."""
    return Parameter(negative=(), show_default=False, help=text)


def many(text: str) -> Any:
    """An option that takes several words, or may be repeated."""
    return Parameter(negative=(), consume_multiple=True, help=text)


def json_option(what: str) -> Any:
    """An option whose value is JSON, read by `json_value`."""
    return Parameter(allow_leading_hyphen=True, help=f"{what}: in place, @FILE, or - for stdin.")


def json_value(text: str, option: str) -> Any:
    """The value that an option gives as JSON: in place, as @file, or as - on stdin. Raises InvalidInput."""
    try:
        return orjson.loads(_text_of(text))
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"{option} is not JSON: {error}; give JSON, @FILE, or - for stdin") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{option} cannot be read: {error}") from error


def _text_of(text: str) -> str:
    if text == "-":
        return sys.stdin.read()
    return Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text


def moment(text: str | None, option: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> datetime | None:
    """A time: ISO 8601, local where it names no zone, or an age such as 90s, 15m, 2h, 7d. Raises UsageError."""
    if text is None:
        return None
    if text[-1:] in _UNITS_S and text[:-1].replace(".", "", 1).isdigit():
        return now() - timedelta(seconds=float(text[:-1]) * _UNITS_S[text[-1]])
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as error:
        raise UsageError(
            f'{option}: "{text}" is neither a time such as 2030-01-31T09:00+01:00 nor an age such as 90s, 15m, 2h, 7d'
        ) from error


def duration_s(text: str, option: str) -> float:
    """Seconds of a duration such as 90s, 15m, 2h, 7d. Raises UsageError."""
    if text[-1:] in _UNITS_S and text[:-1].isascii() and text[:-1].replace(".", "", 1).isdigit():
        return float(text[:-1]) * _UNITS_S[text[-1]]
    raise UsageError(f'{option}: "{text}" is no duration such as 90s, 15m, 2h, 7d')


def template_name(reference: str) -> tuple[str, str, str | None]:
    """Namespace, name and version (None: the newest) of `namespace/name@version`. Raises UsageError."""
    name, _, version = reference.partition("@")
    namespace, slash, short = name.rpartition("/")
    if not short or (slash and not namespace) or reference.endswith("@"):
        raise UsageError(f'"{reference}" names no template: write namespace/name or namespace/name@version')
    return namespace or "default", short, version or None
