"""What does the driver cost? The same verbs through asyncpg and through psycopg 3, with no work in between.

    python bench/drivers.py [--seconds 3] [--rounds 5] [--batch 200] [--json] [--database-url DSN]

One connection reports and claims chains of four as fast as it can, first with one driver, then with the other, round by
round. The figures are this process's CPU time a step (the driver encodes and decodes; nothing else is done), steps a
second, and the time of one chain alone from submit to its end. psycopg runs with binary cursors; `pipeline` sends
report and claim together in one round trip. It takes about a minute, and psycopg, which the tests require.
docs/decisions/driver.md says what was chosen.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any, Protocol
from uuid import UUID, uuid4

import psycopg
from script import Rows, parser, query, run

from tasker.bench import product
from tasker.bench.plan import Told
from tasker.bench.saturated import SUBMIT_BATCH, fill
from tasker.bench.shapes import NAMESPACE, SHAPES
from tasker.model.ids import uuid7
from tasker.store.connection import PLAN_SETTINGS, Connection, connect

CHAIN = SHAPES["chain"]
STEPS = len(CHAIN.steps)
_CONTEXT = '{"n": 1, "customer": "abc", "items": [1, 2, 3]}'
_RESULT = '{"parents": 1}'
_TYPES = {
    "submit": "text text text uuid[] jsonb[]",
    "report": "int uuid[] int[] int[] text[] text[] float8[] float8[] bigint[] int[] int[] int[] bool",
    "claim": "int int[] int[] int[] bool",
}
Call = tuple[str, Sequence[Any]]
Answer = Sequence[Sequence[Any]]


class Driver(Protocol):
    """A connection that sends calls and answers their rows."""

    async def call(self, *calls: Call) -> Sequence[Answer]:
        """Each verb by name with its arguments, in order."""
        ...


def statement(name: str, mark: str) -> str:
    """The call of a verb, with the placeholders of one driver."""
    marks = ", ".join(mark.format(place) + f"::{kind}" for place, kind in enumerate(_TYPES[name].split(), 1))
    return query(f"select * from tasker_engine.{name}({marks})")  # noqa: S608 - our own words


class WithAsyncpg:
    """asyncpg, as the store uses it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._statements = {name: statement(name, "${}") for name in _TYPES}

    async def call(self, *calls: Call) -> Sequence[Answer]:
        """One round trip each."""
        return [await self._connection.fetch(self._statements[name], *arguments) for name, arguments in calls]


class WithPsycopg:
    """psycopg 3, binary both ways, statements prepared at their first use."""

    def __init__(self, connection: Any, *, is_pipelined: bool) -> None:
        self._connection = connection
        self._is_pipelined = is_pipelined
        self._statements = {name: statement(name, "%s") for name in _TYPES}

    async def call(self, *calls: Call) -> Sequence[Answer]:
        """One round trip each, or one for all."""
        if not self._is_pipelined or len(calls) == 1:
            return [await (await self._send(one)).fetchall() for one in calls]
        async with self._connection.pipeline():
            cursors = [await self._send(one) for one in calls]
        return [await cursor.fetchall() for cursor in cursors]

    async def _send(self, call: Call) -> Any:
        name, arguments = call
        cursor = self._connection.cursor(binary=True)
        return await cursor.execute(self._statements[name], arguments, prepare=True)


@asynccontextmanager
async def asyncpg_driver(dsn: str) -> AsyncGenerator[Driver]:
    """A connection of the store's."""
    connection = await connect(dsn)
    yield WithAsyncpg(connection)
    await connection.close()


@asynccontextmanager
async def psycopg_driver(dsn: str, *, is_pipelined: bool) -> AsyncGenerator[Driver]:
    """The same settings on a connection of psycopg's."""
    settings = " ".join(f"-c {name}={value}" for name, value in PLAN_SETTINGS.items())
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, options=settings) as connection:
        yield WithPsycopg(connection, is_pipelined=is_pipelined)


DRIVERS = {
    "asyncpg": asyncpg_driver,
    "psycopg": partial(psycopg_driver, is_pipelined=False),
    "psycopg, pipeline": partial(psycopg_driver, is_pipelined=True),
}


@dataclass(slots=True)
class Outcomes:
    """What is to be reported: the grants of the last turn."""

    task_ids: list[UUID] = field(default_factory=list[UUID])
    numbers: list[int] = field(default_factory=list[int])
    attempts: list[int] = field(default_factory=list[int])
    grants: list[int] = field(default_factory=list[int])
    next_grants: list[int] = field(default_factory=list[int])

    def read(self, rows: Answer) -> int:
        """Takes grants from an answer; how many tasks ended."""
        ended = 0
        for kind, task_id, number, attempt, _, _, payload, _ in rows:
            if kind == "grant":
                self.task_ids.append(task_id)
                self.numbers.append(number)
                self.attempts.append(attempt)
            elif kind == "batch":
                self.next_grants.append(int(payload))
            elif kind == "ended":
                ended += 1
        return ended


class Turn:
    """A session that does nothing but turn."""

    def __init__(self, driver: Driver, session: int, channels: list[int]) -> None:
        self._driver = driver
        self._session = session
        self._channels, self._pools = channels, [1] * len(channels)
        self.outcomes = Outcomes()

    def report(self, room: int) -> Call:
        """What the last turn granted has succeeded."""
        last = self.outcomes
        self.outcomes = Outcomes(grants=last.next_grants)
        count = len(last.task_ids)
        columns = (last.task_ids, last.numbers, last.attempts, ["succeeded"] * count, [_RESULT] * count)
        serving = (self._channels, self._pools, [room])
        return "report", (self._session, *columns, [None] * count, [0.001] * count, last.grants, *serving, False)

    def claim(self, room: int) -> Call:
        """Up to so many steps."""
        return "claim", (self._session, self._channels, self._pools, [room], False)

    async def saturated(self, batch: int, seconds: float) -> tuple[float, float]:
        """CPU microseconds a step and steps a second, while a backlog lasts."""
        steps, cpu, began = 0, time.process_time(), time.perf_counter()
        while time.perf_counter() < began + seconds:
            done = len(self.outcomes.task_ids)
            calls = [self.report(batch)] if done else []
            for answer in await self._driver.call(*calls, self.claim(batch - done)):
                self.outcomes.read(answer)
            steps += done
            if not done and not self.outcomes.task_ids:
                break
        spent = time.process_time() - cpu
        return spent / steps * 1e6, steps / (time.perf_counter() - began)

    async def chain_ms(self) -> float:
        """Submit until the end of one chain, with nothing else to do."""
        began, ended = time.perf_counter(), 0
        submit: Call = "submit", (NAMESPACE, CHAIN.name, None, [uuid7()], [_CONTEXT])
        for answer in (await self._driver.call(submit, self.claim(1)))[1:]:
            self.outcomes.read(answer)
        while not ended:
            [answer] = await self._driver.call(self.report(1))
            ended = self.outcomes.read(answer)
        return (time.perf_counter() - began) * 1e3


@dataclass(slots=True)
class Figures:
    """What was measured of one driver, a figure a round."""

    cpu_us: list[float] = field(default_factory=list[float])
    rates: list[float] = field(default_factory=list[float])
    chain_ms: list[float] = field(default_factory=list[float])


async def measure(dsn: str, options: argparse.Namespace, told: Told) -> tuple[Rows, Mapping[str, Any]]:
    """Each driver in turn, in a new schema, after a round that warms up."""
    found = {name: Figures() for name in DRIVERS}
    for number in range(-1, options.rounds):
        for name, figures in found.items():
            told(f"{name}, round {max(0, number) + 1}", max(0, number) / options.rounds)
            measured = await one_round(dsn, name, options.batch, options.seconds if number >= 0 else 0.5)
            if number >= 0:
                for figure, into in zip(measured, (figures.cpu_us, figures.rates, figures.chain_ms), strict=True):
                    into.append(figure)
    rows = [["", "client CPU, µs a step", "steps a second", "a chain alone, p50 ms"]]
    for name, of in found.items():
        rows.append([name, f"{median(of.cpu_us):.2f}", f"{median(of.rates):,.0f}", f"{median(of.chain_ms):.2f}"])
    return rows, {
        name: {
            "cpu_us_per_step": round(median(of.cpu_us), 3),
            "steps_per_second": round(median(of.rates), 1),
            "chain_p50_ms": round(median(of.chain_ms), 3),
        }
        for name, of in found.items()
    }


async def one_round(dsn: str, name: str, batch: int, seconds: float) -> tuple[float, float, float]:
    """CPU microseconds a step, steps a second, and milliseconds of a chain alone."""
    await product.create(dsn, CHAIN)
    async with DRIVERS[name](dsn) as driver:
        turn = Turn(driver, *await open_session(dsn))
        alone = [await turn.chain_ms() for _ in range(round(seconds * 60))]
        await fill(product, dsn, CHAIN, max(SUBMIT_BATCH, round(seconds * 6_000)))
        return *await turn.saturated(batch, seconds), median(alone)


async def open_session(dsn: str) -> tuple[int, list[int]]:
    """A session that serves all handlers of the chain."""
    connection = await connect(dsn)
    opened = query("select tasker_engine.open_session($1, 'drivers', 'here', 0, 86400)")
    session = await connection.fetchval(opened, uuid4())
    serve = query("select channel_id from tasker_engine.serve($1, $2, null)")
    channels = [row[0] for row in await connection.fetch(serve, session, list(CHAIN.handlers))]
    await connection.close()
    return session, channels


if __name__ == "__main__":
    line = parser(__doc__)
    line.add_argument("--seconds", type=float, default=3)
    line.add_argument("--rounds", type=int, default=5)
    line.add_argument("--batch", type=int, default=200)
    sys.exit(run(line.parse_args(), measure))
