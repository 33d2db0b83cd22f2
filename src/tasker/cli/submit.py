"""`tasker task submit`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import Seconds, Where, flag, json_option, json_value, many, moment, template_name
from tasker.cli.doors import Door, with_door
from tasker.cli.show import print_json, print_line
from tasker.cli.waiting import ended, show_end
from tasker.model.errors import InvalidInput


def submit(
    template: Annotated[str, Parameter(help="namespace/name, or namespace/name@version.")],
    /,
    *,
    context: Annotated[str, json_option("The input, a JSON object")] = "{}",
    key: Annotated[str | None, Parameter(help="Idempotency key: the same key is the same task.")] = None,
    key_ttl: Annotated[Seconds | None, Parameter(help="Seconds after which the key may be used anew.")] = None,
    priority: Annotated[int, Parameter(help="The higher, the sooner; past -2 and 2 it counts as these.")] = 0,
    start_at: Annotated[str | None, Parameter(help="When it may begin, as ISO 8601.")] = None,
    delay: Annotated[Seconds | None, Parameter(help="Seconds until it may begin.")] = None,
    initiator: Annotated[str | None, Parameter(help="Who asks for it.")] = None,
    source_system: Annotated[str | None, Parameter(help="What asks for it.")] = None,
    reason: Annotated[str | None, Parameter(help="Why.")] = None,
    tags: Annotated[list[str] | None, many("Words to find it by.")] = None,
    correlation_id: Annotated[UUID | None, Parameter(help="What belongs together has the same one.")] = None,
    parent_correlation_id: Annotated[UUID | None, Parameter(help="What this belongs below.")] = None,
    wait: Annotated[bool, flag("Wait until it has ended; the exit code says how.")] = False,
    timeout: Annotated[Seconds | None, Parameter(help="With --wait: for so many seconds at most.")] = None,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Creates one task."""
    from tasker.submission import TaskRequest

    _check(start_at, delay, timeout if wait else None)
    namespace, name, version = template_name(template)
    request = TaskRequest(
        context=_object(json_value(context, "--context")),
        idempotency_key=key,
        key_ttl_s=key_ttl,
        priority=priority,
        start_at=moment(start_at, "--start-at"),
        delay_s=delay,
        initiator=initiator,
        source_system=source_system,
        reason=reason,
        tags=tags,
        correlation_id=correlation_id,
        parent_correlation_id=parent_correlation_id,
    )

    async def work(door: Door) -> int:
        made = await door.submit(namespace, name, version, request)
        if wait:
            return show_end(await ended(door, made.task_uuid, timeout), common, asdict(made))
        if common.json:
            print_json(made)
        else:
            print_line(f"{made.task_uuid}{'  (it existed already)' if made.is_duplicate else ''}")
        return exits.OK

    return with_door(common, work)


def _check(start_at: str | None, delay: float | None, timeout: float | None) -> None:
    if start_at is not None and delay is not None:
        raise exits.UsageError("give --start-at or --delay, not both")
    for option, value in (("--delay", delay), ("--timeout", timeout)):
        if value is not None and value < 0:
            raise exits.UsageError(f"{option} is a number of seconds from 0, not {value:g}")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(f"--context is {type(value).__name__} in JSON, and has to be an object: {{…}}")
    return value  # pyright: ignore[reportUnknownVariableType] - JSON's objects have text as keys
