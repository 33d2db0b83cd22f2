"""Submissions on their way through the loop of the turns, and who waits for their answers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from tasker.store.connection import Connection
from tasker.store.errors import CONNECTION_ERRORS
from tasker.store.replies import Reply, Submitted
from tasker.store.verbs import Serving, Submit, Verbs

Prepare = Callable[[Connection], Awaitable[Submit]]
"""Makes the call of submit; may read with the connection."""
Answer = Sequence[Submitted] | None
"""What submit answered; None where nobody knows whether it happened: submit the same ids again, elsewhere."""


class Submissions:
    """Calls that wait for the next turn."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs
        self._waiting: deque[tuple[Prepare, asyncio.Future[Answer]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, prepare: Prepare) -> asyncio.Future[Answer]:
        """The answer to come, or what `prepare` and submit refuse."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((prepare, answer))
        return answer

    async def make_next(
        self, connection: Connection, session: int, serving: Serving, room: Sequence[int]
    ) -> Reply | None:
        """Makes the first call that waits. None where it was refused, which is for the submitter alone to know.

        Who no longer waits for the answer has made the tasks all the same. Raises CONNECTION_ERRORS and TimeoutError.
        """
        prepare, asked = self._waiting.popleft()
        answer: Answer | Exception = None
        try:
            submit = await prepare(connection)
            reply = await self._verbs.submit_here(connection, session, serving, room, submit)
            answer = reply.submitted
            return reply
        except (*CONNECTION_ERRORS, TimeoutError):
            raise
        except Exception as error:
            answer = error
            return None
        finally:
            _settle(asked, answer)

    def give_up(self) -> None:
        """There will be no next turn on this connection."""
        while self._waiting:
            _settle(self._waiting.popleft()[1], None)


def _settle(asked: asyncio.Future[Answer], answer: Answer | Exception) -> None:
    if asked.done():
        return
    if isinstance(answer, Exception):
        asked.set_exception(answer)
    else:
        asked.set_result(answer)
