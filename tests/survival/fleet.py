"""Worker processes for tests to hurt, the ledger that they write, and what it must say in the end."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import survival_handlers
from support.checker import check
from support.until import until

from tasker.cli.serving.child import Work
from tasker.model.template import BatchConfig, HandlerRef, RetryPolicy, Step, Template
from tasker.worker.host import is_alive

HERE = Path(__file__).parent
IS_FULL = os.environ.get("TASKER_TEST_SCALE") == "full"
SHORT_TIMES = {
    "TASKER_LEASE_S": "1.5",
    "TASKER_BEAT_S": "0.3",
    "TASKER_SWEEP_S": "0.2",
    "TASKER_POLL_S": "0.05",
    "TASKER_DRAIN_S": "10",
    "TASKER_LOG_LEVEL": "error",
}
TERMINAL = {"complete", "error", "cancelled"}


def seed_of(test: str) -> int:
    """The seed of a run: given by TASKER_TEST_SEED, or new; pytest shows it when the test fails."""
    seed = int(os.environ.get("TASKER_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"{test}: TASKER_TEST_SEED={seed}")
    return seed


@dataclass(frozen=True)
class Entry:
    """One line of the ledger."""

    moment: str
    task: str
    step: str
    attempt: int
    pid: int
    at: float


class Ledger:
    """What handlers say that they did."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def entries(self, moment: str | None = None) -> list[Entry]:
        """All of it, or the lines of one moment, in order. A line whose end is not there yet is still being written."""
        found: list[Entry] = []
        for line in self.path.read_text().split("\n")[:-1]:
            words = line.split()
            if moment in (None, words[0]):
                found.append(Entry(words[0], words[1], words[2], int(words[3]), int(words[4]), float(words[5])))
        return found

    def count(self, moment: str | None = None) -> int:
        """How many lines there are, or those of one moment."""
        return len(self.entries(moment))


class Worker:
    """One worker process. It leaves no zombie."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    @property
    def is_alive(self) -> bool:
        """True while it exists, stopped or not."""
        return is_alive(self.pid)

    def signal(self, number: int) -> None:
        """Sends a signal, if it still lives."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


class Zygote:
    """The process that the workers of all tests are forked from."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "survival_zygote.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, work: Work, environment: dict[str, str]) -> Worker:
        """A new worker."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"work": asdict(work), "environment": environment}), file=self._process.stdin, flush=True)
        return Worker(int(self._process.stdout.readline()))

    def close(self) -> None:
        """Ends it, and with it every worker."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


class Fleet:
    """Worker processes on one database, with settings of their own."""

    def __init__(self, zygote: Zygote, dsn: str, ledger: Ledger, **environment: str) -> None:
        self._zygote = zygote
        self.dsn = dsn
        self.ledger = ledger
        self._environment = {**SHORT_TIMES, survival_handlers.LEDGER: str(ledger.path), **environment}
        self.workers: list[Worker] = []

    def start(self, count: int = 1, *, dsn: str | None = None, **environment: str) -> list[Worker]:
        """Starts workers."""
        work = Work(dsn=dsn or self.dsn, handlers=("survival_handlers",), paths=(str(HERE), str(HERE.parent)))
        started = [self._zygote.start(work, {**self._environment, **environment}) for _ in range(count)]
        self.workers += started
        return started

    async def kill(self, worker: Worker) -> None:
        """kill -9, and the process is gone."""
        worker.signal(signal.SIGKILL)
        await until(lambda: not worker.is_alive, "the process is gone")
        self.workers.remove(worker)

    def stop(self) -> None:
        """Ends all that still live, as a machine does that is switched off."""
        for worker in self.workers:
            worker.signal(signal.SIGKILL)
        self.workers.clear()

    async def ready(self, count: int) -> None:
        """Returns when so many sessions live."""
        await until(lambda: len(self.living()) >= count, f"{count} sessions live", within_s=60)

    def living(self) -> set[int]:
        """The processes whose sessions live, as far as the database knows."""
        return {row[0] for row in ask(self.dsn, "select pid from tasker_engine.sessions where ended_at is null")}


def ask(dsn: str, query: str, *args: Any) -> list[tuple[Any, ...]]:
    """The rows of a query, on a connection of its own."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query, args).fetchall()  # type: ignore[arg-type]


# Workloads ------------------------------------------------------------------------------------------------------------


def random_templates(chance: random.Random, count: int, *, most_steps: int = 8) -> list[Template]:
    """Templates of random shape: each step depends on some of those before it."""
    made: list[Template] = []
    for number in range(count):
        names = [f"s{n}" for n in range(chance.randint(1, most_steps))]
        steps = [
            Step(
                name=name,
                handler=HandlerRef(callable=chance.choice(("walk", "walk", "crawl"))),
                dependencies=tuple(chance.sample(names[:at], chance.randint(0, min(at, 3)))),
                retry=RetryPolicy(max_attempts=20, backoff_base_ms=10, max_backoff_ms=50),
            )
            for at, name in enumerate(names)
        ]
        made.append(Template(namespace="tests", name=f"shape{number}", version="1.0.0", steps=tuple(steps)))
    return made


def flow(name: str, *handlers: str, **retry: Any) -> Template:
    """A chain of steps with these handlers."""
    policy = RetryPolicy(**{"max_attempts": 5, "backoff_base_ms": 10, **retry})
    steps = [
        Step(
            name=f"s{n}",
            handler=HandlerRef(callable=handler),
            dependencies=(f"s{n - 1}",) if n else (),
            retry=policy,
        )
        for n, handler in enumerate(handlers)
    ]
    return Template(namespace="tests", name=name, version="1.0.0", steps=tuple(steps))


def parted(cutter: str, worker: str) -> Template:
    """A step that cuts work, and the batch that does it, three members at a time."""
    policy = RetryPolicy(max_attempts=5, backoff_base_ms=10)
    cut = Step(name="cut", type="batchable", handler=HandlerRef(callable=cutter), retry=policy)
    config = BatchConfig(parallelism=3)
    part = Step(
        name="part",
        type="batch_worker",
        handler=HandlerRef(callable=worker),
        dependencies=("cut",),
        retry=policy,
        batch_config=config,
    )
    return Template(namespace="tests", name="parted", version="1.0.0", steps=(cut, part))


# What must hold in the end --------------------------------------------------------------------------------------------


async def all_ended(dsn: str, tasks: Sequence[UUID], *, within_s: float) -> None:
    """Returns when all these tasks have ended; else says what the others wait for."""
    query = "select count(*) from tasker_engine.tasks where task_id = any (%s) and state::text = any (%s)"
    try:
        await until(
            lambda: ask(dsn, query, list(tasks), list(TERMINAL))[0][0] == len(tasks),
            "all have ended",
            within_s=within_s,
        )
    except AssertionError as error:
        raise AssertionError(f"{error}\n{_stuck(dsn)}") from None


def _stuck(dsn: str) -> str:
    steps = """select s.state::text, s.is_suspect, s.attempt, s.tries, count(*), min(s.task_id::text)
               from tasker_engine.steps s join tasker_engine.tasks t using (task_id)
               where t.state not in ('complete', 'error', 'cancelled')
               group by 1, 2, 3, 4 order by 5 desc limit 10"""
    sessions = """select session_id, pid, end_reason, is_loss, clock_timestamp() - beat_at
                  from tasker_engine.sessions order by 1"""
    found = [*ask(dsn, steps), *ask(dsn, sessions)]
    return "\n".join(str(row) for row in found)


def violations(dsn: str, ledger: Ledger, tasks: Iterable[UUID]) -> list[str]:
    """What does not agree: in the tables by themselves, and between the tables and the ledger.

    - every task that was acknowledged exists and has ended
    - no attempt of a step was started twice
    - what is complete was run to its end, under the attempt that was recorded, and its result is right
    """
    found = check(dsn)
    known = {row[0]: row[1] for row in ask(dsn, "select task_id, state::text from tasker_engine.tasks")}
    for task in tasks:
        if known.get(task) not in TERMINAL:
            found.append(f"task {task} is {known.get(task, 'lost')}")
    starts = Counter((entry.task, entry.step, entry.attempt) for entry in ledger.entries("start"))
    found += [f"{key} was started {count} times" for key, count in starts.items() if count > 1]
    ends = {(entry.task, entry.step, entry.attempt) for entry in ledger.entries("end")}
    complete = """select s.task_id::text, p.name, s.attempt, (s.result ->> 'total')::numeric, i.context ->> 'n',
                    s.number,
                    (select sum((o.result ->> 'total')::numeric) from unnest(p.parents) x
                     join tasker_engine.steps o on o.task_id = s.task_id and o.number = x)
                  from tasker_engine.steps s join tasker_engine.tasks t using (task_id)
                  join tasker_engine.inputs i using (task_id)
                  join tasker_engine.template_steps p on p.template_id = t.template_id and p.number = s.number
                  where s.state = 'complete'"""
    for task, step, attempt, result, n, number, parents in ask(dsn, complete):
        if (task, step, attempt) not in ends:
            found.append(f"step {step} of {task} is complete on attempt {attempt}, which never ended")
        if result != number + int(n) + (parents or 0):
            found.append(f"step {step} of {task} has the result {result}")
    return found
