"""`tasker breaker list|show|open|reset|set`: the systems that steps depend on, and whether steps go there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar
from uuid import uuid4

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.acting import ActId, Actor, Reason, login_name
from tasker.cli.breaker_ways import BreakerAct, BreakerWay, DatabaseBreakers, ServerBreakers
from tasker.cli.common import Where
from tasker.cli.either import on_either
from tasker.cli.exits import UsageError
from tasker.cli.show import duration, print_json, print_line, print_table, time
from tasker.model.breaker import BreakerAction, BreakerInfo, BreakerMove

T = TypeVar("T")
Name = Annotated[str, Parameter(help="The breaker's name: a `system_dependency` of a step or a handler.")]


def list_breakers(*, common: Where = Where()) -> int:  # noqa: B008
    """Lists breakers."""

    async def work(way: BreakerWay) -> list[BreakerInfo]:
        return await way.list()

    found = _on(common, work)
    if common.json:
        print_json({"breakers": found})
        return exits.OK
    rows = [(b.name, b.state, b.failures, b.waiting, time(b.changed_at), b.why) for b in found]
    columns = ("breaker", "state", "failures", "ready steps", "since", "why")
    print_table(columns, rows, empty="no breakers: no template and no handler names a system_dependency")
    return exits.OK


def show(
    name: Name,
    /,
    *,
    limit: Annotated[int, Parameter(help="So many of its last moves.")] = 20,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Shows a breaker, its limits and its history."""

    async def work(way: BreakerWay) -> tuple[BreakerInfo, list[BreakerMove]]:
        return await way.show(name, limit)

    found, moves = _on(common, work)
    if common.json:
        print_json({"breaker": found, "history": moves})
        return exits.OK
    _print(found)
    rows = [(time(m.at), m.from_state, m.to_state, m.actor, m.reason) for m in moves]
    print_table(("at", "from", "to", "by", "reason"), rows, empty="it has never moved")
    return exits.OK


def _print(found: BreakerInfo) -> None:
    print_line(found.why or f'breaker "{found.name}" is closed, after {found.failures} failures in a row')
    probing = f", {found.running_probes} probes run, {found.successes} succeeded" if found.state == "half_open" else ""
    print_line(f"{found.waiting} steps are ready behind it{probing}; handlers: {', '.join(found.handlers) or 'none'}")
    print_line(
        f"it opens after {found.failure_threshold} failures in a row, for {duration(found.reset_s)}, "
        f"and if it does again for up to {duration(found.reset_max_s)}; "
        f"then {found.probes} at a time probe, and {found.success_threshold} successes close it"
    )


def open_breaker(
    name: Name,
    /,
    *,
    for_s: Annotated[
        float | None, Parameter(name="--for", help="So many seconds; then probes decide. Else until it is reset.")
    ] = None,
    reason: Reason = None,
    actor: Actor = None,
    act_id: ActId = None,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Opens a breaker: its steps wait."""
    options = {} if for_s is None else {"for_s": for_s}
    return _act("open", name, options, common, reason=reason, actor=actor, act_id=act_id)


def reset(
    name: Name, /, *, reason: Reason = None, actor: Actor = None, act_id: ActId = None,
    common: Where = Where(),  # noqa: B008
) -> int:  # fmt: skip
    """Closes a breaker, and forgets the failures."""
    return _act("reset", name, {}, common, reason=reason, actor=actor, act_id=act_id)


def set_limits(
    name: Name,
    /,
    *,
    failure_threshold: Annotated[int | None, Parameter(help="So many failures in a row open it.")] = None,
    success_threshold: Annotated[int | None, Parameter(help="So many probes that succeed close it.")] = None,
    probes: Annotated[int | None, Parameter(help="So many steps probe at once.")] = None,
    reset_s: Annotated[float | None, Parameter(help="It is open for so many seconds, then for longer.")] = None,
    reset_max_s: Annotated[float | None, Parameter(help="But never for longer than this.")] = None,
    reason: Reason = None,
    actor: Actor = None,
    act_id: ActId = None,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Sets limits of a breaker."""
    limits = {
        "failure_threshold": failure_threshold,
        "success_threshold": success_threshold,
        "probes": probes,
        "reset_s": reset_s,
        "reset_max_s": reset_max_s,
    }
    said = {limit: value for limit, value in limits.items() if value is not None}
    if not said:
        raise UsageError("name a limit to set: `tasker breaker set --help` says which there are")
    return _act("set", name, said, common, reason=reason, actor=actor, act_id=act_id)


def _act(action: BreakerAction, name: str, options: dict[str, Any], common: Where, **said: Any) -> int:
    async def work(way: BreakerWay) -> BreakerInfo:
        act_id, actor = said["act_id"] or uuid4(), said["actor"] or login_name()
        act = BreakerAct(action=action, name=name, options=options, act_id=act_id, actor=actor, reason=said["reason"])
        return await way.act(act)

    found = _on(common, work)
    if common.json:
        print_json({"action": action, "breaker": found})
    else:
        _print(found)
    return exits.OK


def _on(where: Where, work: Callable[[BreakerWay], Awaitable[T]]) -> T:
    return on_either(where, DatabaseBreakers, ServerBreakers, work)
