"""PGMQ: the verbs send into queues of the same database; here they are read, and the worker is woken."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

from tasker.store import messages
from tasker.store.connection import Connection
from tasker.store.messages import Read
from tasker.transport.rounds import Rounds
from tasker.transport.seam import READS_MAX, PoisonedMessage, Queues, read_pointer
from tasker.worker.log import log
from tasker.worker.wakes import Wakes

READ_MAX = 500
HIDDEN_S = 30
_QUEUES_S = 2.0
_PRUNE_S = 60.0
_PRUNE_MAX = 5000


class Pgmq:
    """Reads what is announced to this process; `wake` is called once for all that was read together. `queues` None:
    nothing is announced to it."""

    name = "pgmq"

    def __init__(
        self,
        dsn: str,
        *,
        schema: str,
        poll_s: float,
        queues: Queues | None,
        wake: Callable[[], object],
        notify: Callable[[], Awaitable[object]],
    ) -> None:
        self._schema = schema
        self._ask_queues = queues
        self._wake_worker = wake
        self._wakes = Wakes(notify)
        self._rounds = Rounds(
            dsn, f"{schema}_messages", self._round, poll_s=poll_s, what="the queues of PGMQ cannot be read"
        )
        self._queues: list[str] = []
        self._asked_at = float("-inf")
        self._pruned_at = float("-inf")
        self.counts: Counter[str] = Counter()

    async def start(self) -> None:
        """Begins to read."""
        self._rounds.start()

    async def stop(self) -> None:
        """Ends; what was read and not deleted shows again to others."""
        await self._rounds.stop()
        await self._wakes.close()

    def nudge(self) -> None:
        """Those who read are to look soon."""
        self._wakes.nudge()

    async def _round(self, connection: Connection) -> bool:
        now = time.monotonic()
        if self._ask_queues is not None and now - self._asked_at > _QUEUES_S:
            self._queues, self._asked_at = list(await self._ask_queues()), now
        if now - self._pruned_at > _PRUNE_S:
            self.counts["pruned"] += await messages.prune_queues(connection, _PRUNE_MAX, schema=self._schema)
            self._pruned_at = now
        if not self._queues:
            return False
        read = await messages.read_queues(
            connection, self._queues, hidden_s=HIDDEN_S, most=READ_MAX, schema=self._schema
        )
        if read:
            self._wake_worker()
            await self._settle(connection, read)
        return len(read) >= READ_MAX

    async def _settle(self, connection: Connection, read: Iterable[Read]) -> None:
        """Deletes what was read: what it points to is in the tables. What cannot be read goes where people look."""
        by_queue: dict[str, list[Read]] = {}
        for one in read:
            by_queue.setdefault(one.queue, []).append(one)
        for queue, ones in by_queue.items():
            done, dead, problem = _judged(ones)
            moved = await messages.settle_queue(connection, queue, done, dead, problem, schema=self._schema)
            self.counts["received"] += len(done)
            self.counts["dead"] += moved
            if moved:
                log.error("messages that nobody can read", queue=queue, messages=moved, error=problem)


def _judged(read: Iterable[Read]) -> tuple[list[int], list[Read], str]:
    """What is done, what is poisoned, and what is wrong with the last of these."""
    done: list[int] = []
    dead: list[Read] = []
    problem = ""
    for one in read:
        try:
            if one.read_ct > READS_MAX:
                raise PoisonedMessage(f"it was read {one.read_ct} times, and never deleted")
            read_pointer(one.message)
            done.append(one.msg_id)
        except PoisonedMessage as error:
            dead.append(one)
            problem = str(error)
    return done, dead, problem
