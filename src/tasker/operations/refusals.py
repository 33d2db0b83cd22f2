"""The record of refused calls, as callers of the API read it: of the whole installation, since it names everybody."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from tasker.operations.fields import Name, Seconds
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.store import refusals as store

DAY_S = 86_400.0
Reason = Literal["missing", "expired", "invalid", "malformed", "guessing", "forbidden", "out_of_reach"]


class ListRefusals(Given):
    """Which refused calls."""

    within: Seconds = Field(DAY_S, description="How far back: a day where nothing is said.")
    who: Name | None = Field(None, description="Of a caller in whose name, or id of the key, this is.")
    reason: Reason | None = None
    limit: int = Field(100, ge=1, le=1_000)
    offset: int = Field(0, ge=0, le=100_000)


class RefusalInfo(Answer):
    """The calls of one hour that were refused alike."""

    reason: str
    face: str = Field(description="http or grpc.")
    what: str = Field(description="The operation, or the path that none has.")
    who: str = Field(description="The caller; where it is not proven, the id of the API key that it named, or nothing.")
    address: str
    is_proven: bool
    permission: str | None = Field(description="Which it lacked, or would have needed.")
    namespace: str | None
    times: int
    first_at: datetime
    last_at: datetime


@operation("auth:refusals_read", Scope.WHOLE)
async def list_refusals(access: Access, given: ListRefusals) -> list[RefusalInfo]:
    """List refused calls, newest first: whose, what for, from where, how often"""
    found = await access.engine.ask(
        lambda connection: store.list_refusals(
            connection,
            age_s=given.within,
            who=given.who,
            reason=given.reason,
            limit=given.limit,
            offset=given.offset,
            schema=access.engine.settings.schema_name,
        )
    )
    return [_shown(one) for one in found]


def _shown(listed: store.Listed) -> RefusalInfo:
    one = listed.refusal
    return RefusalInfo(
        reason=one.reason,
        face=one.face,
        what=one.what,
        who=one.who,
        address=one.address,
        is_proven=one.is_proven,
        permission=one.permission,
        namespace=one.namespace,
        times=listed.times,
        first_at=listed.first_at,
        last_at=listed.last_at,
    )
