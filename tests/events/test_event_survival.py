"""Processes that work and subscribe are killed at random moments: every event arrives, in the order of its task."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from events_support import Begin, shop
from support.until import until

KILLS, TASKS = (60, 900) if os.environ.get("TASKER_TEST_SCALE") == "full" else (5, 60)
MORE = "".join(
    f"  - {{name: {name}, handler: pay, dependencies: [{before}], publishes_events: [order.{name}]}}\n"
    for before, name in (("pay", "pack"), ("pack", "send"))
)
ORDER = ["order.paid", "order.pack", "order.send"]


class Children:
    """Worker processes of the test, and what they wrote."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self._dsn = dsn
        self._ledger = folder / "ledger"
        self._ledger.touch()
        self._template = folder / "order.yaml"
        self._template.write_text(shop("[order.paid]", more=MORE))
        self.living: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """One more."""
        program = str(Path(__file__).with_name("event_child.py"))
        arguments = [sys.executable, program, self._dsn, str(self._ledger), str(self._template)]
        self.living.append(subprocess.Popen(arguments))

    def kill(self, child: subprocess.Popen[bytes]) -> None:
        """kill -9."""
        self.living.remove(child)
        child.kill()
        child.wait(30)

    def lines(self, what: str) -> list[list[str]]:
        """What was written; a line that a killed process had not ended is none."""
        text = self._ledger.read_text()
        return [words[1:] for line in text.splitlines() if (words := line.split()) and words[0] == what]


@pytest.fixture
def children(database: str, tmp_path: Path) -> Iterator[Children]:
    """None of them outlives the test."""
    made = Children(database, tmp_path)
    yield made
    for child in made.living[:]:
        made.kill(child)


async def test_kill_9_loses_no_event(children: Children, begin: Begin) -> None:
    """Each is handed over at least once, with one id, those of a task first in their order."""
    seed = int(os.environ.get("TASKER_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"TASKER_TEST_SEED={seed}")
    chance = random.Random(seed)
    for _ in range(2):
        children.start()
    await until(lambda: len(children.lines("ready")) == 2, "both are ready", within_s=60)
    client = await begin(None, worker=False)
    tasks = []
    for killed in range(KILLS):
        submitted = await client.submit_many("order", [{}] * (TASKS // KILLS), namespace="shop")
        tasks += [str(task.task_uuid) for task in submitted]
        goal = len(children.lines("event")) + chance.randint(1, 30)
        await until(
            lambda goal=goal: len(children.lines("event")) >= goal, f"events come after {killed} kills", within_s=60
        )
        children.kill(chance.choice(children.living))
        children.start()
    heard: dict[str, list[tuple[str, str]]] = defaultdict(list)

    def is_all_heard() -> bool:
        heard.clear()
        for event_id, task, name in children.lines("event"):
            if (name, event_id) not in heard[task]:
                heard[task].append((name, event_id))
        return sum(map(len, heard.values())) >= len(tasks) * len(ORDER)

    await until(is_all_heard, "every event is heard", within_s=120)
    assert sorted(heard) == sorted(tasks)
    assert {task: [name for name, _ in events] for task, events in heard.items()} == dict.fromkeys(tasks, ORDER)
    outbox = await client.events(limit=1000)
    assert len({event.event_id for event in outbox}) == len(outbox) == len(tasks) * len(ORDER)
