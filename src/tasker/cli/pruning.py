"""`tasker db prune`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from tasker.cli import exits
from tasker.cli.common import Common, flag, moment
from tasker.cli.database import Database, with_database
from tasker.cli.show import bar, print_json, print_line
from tasker.store.retention import COUNT_MAX, count_prunable, prune_all


def prune(
    *,
    older_than: Annotated[str, flag("How long ago a task must have ended, such as 12h or 30d, or a time.")] = "30d",
    yes: Annotated[bool, flag("Do it; without this only how many tasks are meant is shown.")] = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Deletes tasks that have ended, with all that is written about them, and other records that are as old."""
    before = moment(older_than, "--older-than")
    if before is None or before > datetime.now(UTC):
        raise exits.UsageError(f'--older-than: "{older_than}" lies in the future')

    async def work(database: Database) -> tuple[int, bool]:
        schema = database.settings.schema_name
        if not yes:
            return await count_prunable(database.connection, before, COUNT_MAX, schema), False
        with bar("pruning") as show:
            return await prune_all(database.connection, before, schema, on_round=show), True

    count, is_done = with_database(common, work)
    if common.json:
        print_json({"before": before, "tasks": count, "is_done": is_done})
    elif is_done:
        print_line(f"{count} tasks that ended before {before:%Y-%m-%d %H:%M:%S %Z} are deleted")
    else:
        shown = f"{COUNT_MAX} or more" if count == COUNT_MAX else str(count)
        print_line(
            f"{shown} tasks ended before {before:%Y-%m-%d %H:%M:%S %Z}; nothing is deleted: add --yes "
            "(those with a pending entry in the dead letter queue stay)"
        )
    return exits.OK
