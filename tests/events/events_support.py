"""What the tests of domain events share."""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID, uuid4

from support.engine import Engine

from tasker import Tasker
from tasker.model.event import DomainEvent, Occurrence
from tasker.model.template import EventDeclaration
from tasker.store import events as outbox
from tasker.store.events import Delivery, Made, Taken


class Begin(Protocol):
    """Starts a Tasker that the test need not stop."""

    async def __call__(self, text: str | None, *handlers: Any, **options: Any) -> Tasker: ...


def shop(publishes: str, *, more: str = "") -> str:
    """A template of one step `pay`, which publishes this; `more` are further steps."""
    return (
        "tasker: 1\nnamespace_name: shop\nname: order\nversion: 1.0.0\nsteps:\n"
        f"  - {{name: pay, handler: pay, publishes_events: {publishes}}}\n{more}"
    )


SCHEMA = "tasker_engine"
LEASE_S = 30.0


def declared(*names: str, **options: Any) -> dict[str, Any]:
    """The options of a step that publishes these events: `template("a", a=declared("order.paid"))`."""
    return {"publishes_events": tuple(EventDeclaration(name=name, **options) for name in names)}


async def published(engine: Engine, *publishers: str, owner: UUID | None = None) -> list[Occurrence]:
    """Takes and publishes, with their contents as payloads, until there is no more."""
    owner, found = owner or uuid4(), []
    while taken := await take(engine, *publishers, owner=owner):
        await settle(engine, owner, taken)
        found += [one.occurrence for one in taken]
    return found


async def take(engine: Engine, *publishers: str, owner: UUID, most: int = 100) -> list[Taken]:
    """What is to be made into events."""
    return await outbox.take_events(engine.connection, owner, publishers, most, LEASE_S, schema=SCHEMA)


async def settle(engine: Engine, owner: UUID, taken: list[Taken], problem: str | None = None) -> int:
    """Publishes them; with a problem, their publisher failed."""
    status = "published" if problem is None else "recorded"
    made = [Made(one.seq, status, '{"said": 1}', "{}", problem) for one in taken]
    return await outbox.settle_events(engine.connection, owner, made, schema=SCHEMA)


async def subscribe(engine: Engine, name: str, *patterns: str) -> None:
    """Makes a subscriber known."""
    await outbox.subscribe(engine.connection, [(name, patterns)], schema=SCHEMA)


async def handed(engine: Engine, *names: str, owner: UUID, most: int = 100) -> list[tuple[Delivery, DomainEvent]]:
    """What is to be handed to these subscribers."""
    return await outbox.take_deliveries(engine.connection, owner, names, most, LEASE_S, schema=SCHEMA)


async def answer(
    engine: Engine, owner: UUID, done: list[tuple[Delivery, DomainEvent]], error: str | None = None
) -> None:
    """The subscribers are done, or failed."""
    await outbox.settle_deliveries(engine.connection, owner, [(one, error) for one, _ in done], schema=SCHEMA)


async def outcomes(engine: Engine) -> list[tuple[str, str, int]]:
    """What the outbox was told: name, outcome and attempt of each, in order."""
    query = "select name, outcome, attempt from tasker_engine.events order by seq"
    return [tuple(row.values()) for row in await engine.rows(query)]
