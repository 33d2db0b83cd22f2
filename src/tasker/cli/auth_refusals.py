"""`tasker auth refusals`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import Common, duration_s
from tasker.cli.database import Database, with_database
from tasker.cli.show import print_json, print_table, time

if TYPE_CHECKING:
    from tasker.store.refusals import Listed

Reason = Literal["missing", "expired", "invalid", "malformed", "guessing", "forbidden", "out_of_reach"]
LIMIT_MAX = 10_000


def refusals(
    *,
    since: Annotated[str, Parameter(help="How far back: 24h, 90d.")] = "24h",
    who: Annotated[str | None, Parameter(help="Of a caller in whose name, or id of the key, this is.")] = None,
    reason: Annotated[Reason | None, Parameter(help="Of one reason.")] = None,
    limit: Annotated[int, Parameter(help=f"At most so many, up to {LIMIT_MAX}.")] = 100,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Lists refused calls, newest first. A row counts the calls of one hour that were refused alike."""
    from tasker.store.refusals import read_refusals

    if not 0 < limit <= LIMIT_MAX:
        raise exits.UsageError(f"--limit: 1 to {LIMIT_MAX}")
    age_s = duration_s(since, "--since")

    async def work(database: Database) -> list[Listed]:
        schema = database.settings.schema_name
        return await read_refusals(database.connection, age_s=age_s, who=who, reason=reason, limit=limit, schema=schema)

    found = with_database(common, work)
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
