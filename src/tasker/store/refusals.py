"""Refused calls as the database keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tasker import sql
from tasker.store.connection import Connection
from tasker.store.errors import translating

_NOTE = """
select tasker_engine.note_refusals($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[],
  $7::text[], $8::text[], $9::bigint[], $10::float8[], $11::float8[], $12, $13)
"""
_LIST = "select * from tasker_engine.list_refusals($1, $2, $3, $4, $5)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Calls that were refused for one reason: what they asked for, and from where they came.

    `who` is the caller where it was known (`is_proven`), else the id of the API key that it named, or nothing.
    `reason` is missing, expired, invalid, malformed, guessing, forbidden or out_of_reach.
    """

    reason: str
    face: str
    what: str
    who: str
    address: str
    is_proven: bool
    permission: str | None
    namespace: str | None = field(compare=False)
    """The first that was asked for: who asks for many is one refusal all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How often that was, and how many seconds ago first and last."""

    refusal: Refusal
    times: int
    first_age_s: float
    last_age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The refusals of one kind in one hour."""

    refusal: Refusal
    times: int
    first_at: datetime
    last_at: datetime


async def note_refusals(
    connection: Connection,
    counted: Sequence[Counted],
    *,
    kept_max: int,
    kept_days: float,
    schema: str = sql.DEFAULT_SCHEMA,
) -> int:
    """Adds to what is kept, of each of the two kinds of callers at most `kept_max` rows; how many were dropped."""
    refusals = [one.refusal for one in counted]
    with translating():
        return await connection.fetchval(
            sql.in_schema(_NOTE, schema),
            [one.reason for one in refusals],
            [one.face for one in refusals],
            [one.what for one in refusals],
            [one.who for one in refusals],
            [one.address for one in refusals],
            [one.is_proven for one in refusals],
            [one.permission for one in refusals],
            [one.namespace for one in refusals],
            [one.times for one in counted],
            [one.first_age_s for one in counted],
            [one.last_age_s for one in counted],
            kept_max,
            kept_days,
        )


async def list_refusals(
    connection: Connection,
    *,
    age_s: float,
    who: str | None = None,
    reason: str | None = None,
    limit: int = 100,
    offset: int = 0,
    schema: str = sql.DEFAULT_SCHEMA,
) -> list[Listed]:
    """Refusals of the last `age_s` seconds, newest first; `who` is a part of the caller's name."""
    with translating():
        rows = await connection.fetch(sql.in_schema(_LIST, schema), age_s, who, reason, limit, offset)
    return [
        Listed(
            refusal=Refusal(
                reason=row["reason"],
                face=row["face"],
                what=row["what"],
                who=row["who"],
                address=row["address"],
                is_proven=row["is_proven"],
                permission=row["permission"],
                namespace=row["namespace"],
            ),
            times=row["times"],
            first_at=row["first_at"],
            last_at=row["last_at"],
        )
        for row in rows
    ]
