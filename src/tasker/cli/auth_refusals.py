"""`tasker auth refusals`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import Where, duration_s
from tasker.cli.database import Database
from tasker.cli.either import on_either, record
from tasker.cli.show import print_json, print_table, time

if TYPE_CHECKING:
    from tasker.client import AsyncTaskerClient
    from tasker.store.refusals import Listed

Reason = Literal["missing", "expired", "invalid", "malformed", "guessing", "forbidden", "out_of_reach"]
LIMIT_MAX = 10_000
PAGE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which refusals."""

    age_s: float
    who: str | None
    reason: Reason | None
    limit: int


class RefusalWay(Protocol):
    """What the command asks."""

    async def list(self, which: Which) -> list[Listed]:
        """Newest first."""
        ...


class DatabaseRefusals:
    """By the read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, which: Which) -> list[Listed]:
        """One query."""
        from tasker.store.refusals import list_refusals

        schema, limit = self._database.settings.schema_name, which.limit
        on, age_s = self._database.connection, which.age_s
        return await list_refusals(on, age_s=age_s, who=which.who, reason=which.reason, limit=limit, schema=schema)


class ServerRefusals:
    """By the client."""

    def __init__(self, client: AsyncTaskerClient) -> None:
        self._client = client

    async def list(self, which: Which) -> list[Listed]:
        """A request for each page."""
        from tasker.store.refusals import Listed, Refusal

        found: list[Listed] = []
        while True:
            asked, size = {"who": which.who, "reason": which.reason}, min(PAGE, which.limit - len(found))
            page = await self._client.list_refusals(within=which.age_s, limit=size, offset=len(found), **asked)
            found += [record(Listed, one, refusal=record(Refusal, one)) for one in page]
            if len(page) < size or len(found) >= which.limit:
                return found


def refusals(
    *,
    since: Annotated[str, Parameter(help="How far back: 24h, 90d.")] = "24h",
    who: Annotated[str | None, Parameter(help="Of a caller in whose name, or id of the key, this is.")] = None,
    reason: Annotated[Reason | None, Parameter(help="Of one reason.")] = None,
    limit: Annotated[int, Parameter(help=f"At most so many, up to {LIMIT_MAX}.")] = 100,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Lists refused calls, newest first. A row counts the calls of one hour that were refused alike."""
    if not 0 < limit <= LIMIT_MAX:
        raise exits.UsageError(f"--limit: 1 to {LIMIT_MAX}")
    which = Which(age_s=duration_s(since, "--since"), who=who, reason=reason, limit=limit)

    async def work(way: RefusalWay) -> list[Listed]:
        return await way.list(which)

    found = on_either(common, DatabaseRefusals, ServerRefusals, work)
    if common.json:
        print_json({"refusals": [_shown(one) for one in found]})
        return exits.OK
    columns = ("last", "times", "reason", "who", "asked for", "permission", "namespace", "from")
    print_table(columns, [_row(one) for one in found], empty=f"no call was refused in the last {since}")
    return exits.OK


def _row(listed: Listed) -> tuple[Any, ...]:
    one = listed.refusal
    who = one.who if one.is_proven or not one.who else f"{one.who}?"
    return (
        time(listed.last_at),
        listed.times,
        one.reason,
        who,
        one.what,
        one.permission,
        one.namespace,
        f"{one.address} ({one.face})",
    )


def _shown(listed: Listed) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **asdict(listed.refusal),
        "times": listed.times,
        "first_at": listed.first_at,
        "last_at": listed.last_at,
    }
