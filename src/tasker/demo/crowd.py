"""Act two: a crowd of checkouts, as a plain function and with Tasker. Both run all of them at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from tasker.app import Tasker
from tasker.demo.figures import CrowdFigures, Ending, count
from tasker.demo.one import ending
from tasker.demo.shopfront import Checkout, plain_checkout
from tasker.model.errors import WaitTimeout
from tasker.model.task import TaskView

PATIENCE_S = 40.0
Tick = Callable[[], None]


async def run_plain(crowd: Sequence[Checkout], shop: Any, tick: Tick) -> CrowdFigures:
    """Every checkout is one call of the plain function; an error is all that is left of one that failed."""

    async def call(checkout: Checkout) -> Ending:
        try:
            await plain_checkout(shop, checkout)
        except Exception as error:  # whatever stops it is how it ended
            return Ending("stopped", getattr(error, "error_code", None))
        finally:
            tick()
        return Ending("complete")

    began = time.perf_counter()
    endings = await asyncio.gather(*map(call, crowd))
    seconds = time.perf_counter() - began
    return count(crowd, _by_id(crowd, endings), shop.books(), seconds)


async def run_with_tasker(
    tasker: Tasker, namespace: str, crowd: Sequence[Checkout], shop: Any, tick: Tick
) -> tuple[CrowdFigures, list[TaskView]]:
    """Every checkout is a task; this process works on them. The figures, and the tasks in the crowd's order."""
    began = time.perf_counter()
    task_uuids = await submit(tasker, namespace, crowd)
    views = await wait_for_all(tasker, task_uuids, tick)
    seconds = time.perf_counter() - began
    return judge(crowd, views, shop, seconds), views


async def submit(tasker: Tasker, namespace: str, crowd: Sequence[Checkout]) -> list[UUID]:
    """One task a checkout, all in one call."""
    contexts = [checkout.context for checkout in crowd]
    return [task.task_uuid for task in await tasker.submit_many("process_order", contexts, namespace=namespace)]


async def wait_for_all(tasker: Tasker, task_uuids: Sequence[UUID], tick: Tick) -> list[TaskView]:
    """The tasks when they have ended, or as they stand when patience has."""
    give_up_at = time.monotonic() + PATIENCE_S

    async def wait(task_uuid: UUID) -> TaskView:
        try:
            return await tasker.wait(task_uuid, max(0.0, give_up_at - time.monotonic()))
        except WaitTimeout:
            return await tasker.get(task_uuid)
        finally:
            tick()

    return await asyncio.gather(*map(wait, task_uuids))


def judge(crowd: Sequence[Checkout], views: Sequence[TaskView], shop: Any, seconds: float) -> CrowdFigures:
    """The figures of tasks, in the crowd's order."""
    return count(crowd, _by_id(crowd, [ending(view) for view in views]), shop.books(), seconds)


def _by_id(crowd: Sequence[Checkout], endings: Sequence[Ending]) -> dict[str, Ending]:
    return {checkout.checkout_id: how for checkout, how in zip(crowd, endings, strict=True)}
