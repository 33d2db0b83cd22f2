"""Wake-ups: at once when nothing was sent lately, else together; none is lost that comes while one goes."""

from __future__ import annotations

import asyncio

from tasker.worker import wakes
from tasker.worker.wakes import Wakes


async def test_the_first_goes_at_once_and_the_others_together() -> None:
    """Who has nothing to do hears of work without a pause; a hundred pieces of work are two wake-ups."""
    sent: list[float] = []

    async def send() -> None:
        sent.append(asyncio.get_running_loop().time())

    waking = Wakes(send)
    waking.nudge()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(sent) == 1
    for _ in range(100):
        waking.nudge()
    await waking.close()
    assert len(sent) == 2
    assert sent[1] - sent[0] >= wakes.COALESCE_S * 0.9


async def test_work_that_comes_while_a_wake_up_goes_is_announced_by_the_next() -> None:
    """The one under way may have woken everybody before that work could be seen."""
    sent, goes, may_end = 0, asyncio.Event(), asyncio.Event()

    async def send() -> None:
        nonlocal sent
        sent += 1
        goes.set()
        await may_end.wait()

    waking = Wakes(send)
    waking.nudge()
    await goes.wait()
    waking.nudge()
    may_end.set()
    await waking.close()
    assert sent == 2


async def test_a_wake_up_that_cannot_be_sent_harms_nobody() -> None:
    """Polling finds the work; the next wake-up is sent as ever."""
    tries = 0

    async def send() -> None:
        nonlocal tries
        tries += 1
        raise ConnectionError

    waking = Wakes(send)
    for wanted in (1, 2):
        waking.nudge()
        await waking.close()
        assert tries == wanted
