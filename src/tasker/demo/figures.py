"""What the demo counts, and the checks that it must pass. Nothing here runs anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasker.demo.shopfront import Checkout

RECOVERED_SHARE_MIN = 0.98


@dataclass(frozen=True, slots=True)
class Ending:
    """How one checkout ended: the state of its task, or "stopped" for a function that raised. `tries` is by step."""

    state: str
    error_code: str | None = None
    tries: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One promise: whether it was kept, and what was found."""

    name: str
    is_met: bool
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdFigures:
    """What became of a crowd. `refused` ended with exactly their error code; `lost` neither completed nor so."""

    checkouts: int
    completed: int
    refused: int
    lost: int
    charged_without_order: int
    charged_twice: int
    passing_faults: int
    recovered: int
    permanent_faults: int
    permanent_ended_with: Mapping[str, int]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KillFigures:
    """A crowd whose worker was killed. `open_at_kill` checkouts had not ended then; `steps_in_hand` were the worker's,
    of which `steps_taken_over` ran again elsewhere."""

    crowd: CrowdFigures
    pid: int | None
    open_at_kill: int
    steps_in_hand: int
    steps_taken_over: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFigures:
    """Everything that the demo counts. `one` are the tries of each step of the single checkout, and how it ended."""

    one: Ending
    one_charges: int
    plain: CrowdFigures
    tasker: CrowdFigures
    killed: KillFigures


def count(crowd: Sequence[Checkout], endings: Mapping[str, Ending], books: Any, seconds: float) -> CrowdFigures:
    """Holds every ending against what its checkout must come to. `endings` is by checkout id, `books` the shop's."""
    completed = [one for one in crowd if _completed(one, endings)]
    refused = [one for one in crowd if one.error_code and _code(one, endings) == one.error_code]
    return CrowdFigures(
        checkouts=len(crowd),
        completed=len(completed),
        refused=len(refused),
        lost=len(crowd) - len(completed) - len(refused),
        charged_without_order=len(books.charged_without_order),
        charged_twice=len(books.charged_twice),
        passing_faults=sum(one.strikes > 0 for one in crowd),
        recovered=sum(_recovered(one, endings) for one in crowd),
        permanent_faults=sum(one.error_code is not None for one in crowd),
        permanent_ended_with=dict(
            Counter(_code(one, endings) or endings[one.checkout_id].state for one in crowd if one.error_code)
        ),
        seconds=round(seconds, 2),
    )


def _completed(checkout: Checkout, endings: Mapping[str, Ending]) -> bool:
    return checkout.error_code is None and endings[checkout.checkout_id].state == "complete"


def _code(checkout: Checkout, endings: Mapping[str, Ending]) -> str | None:
    """The error code that a checkout ended with, if it ended in an error that has one."""
    ending = endings[checkout.checkout_id]
    return ending.error_code if ending.state in ("error", "stopped") else None


def _recovered(checkout: Checkout, endings: Mapping[str, Ending]) -> bool:
    """It met its passing faults, was tried once more than they strike, and completed."""
    tries = (endings[checkout.checkout_id].tries or {}).get(checkout.step or "", 0)
    return checkout.strikes > 0 and _completed(checkout, endings) and tries > checkout.strikes


def checks(figures: DemoFigures) -> list[Check]:
    """Every promise of the demo, in the order of its acts."""
    return [*_of_one(figures), *_of_crowd(figures.plain, figures.tasker), *_of_kill(figures.killed)]


def _of_one(figures: DemoFigures) -> Iterator[Check]:
    tries = (figures.one.tries or {}).get("process_payment", 0)
    yield Check(
        "one checkout fails, recovers and completes",
        figures.one.state == "complete" and tries == 2,
        f"{figures.one.state}, the payment after {tries} tries",
    )
    yield Check("its customer is charged once", figures.one_charges == 1, f"charges: {figures.one_charges}")


def _of_crowd(plain: CrowdFigures, with_tasker: CrowdFigures) -> Iterator[Check]:
    yield Check(
        "the faults are real: the plain function loses every checkout that meets one",
        plain.lost == plain.passing_faults > 0,
        f"{plain.lost} of {plain.passing_faults}",
    )
    recovered, passing = with_tasker.recovered, with_tasker.passing_faults
    yield Check(
        f"at least {RECOVERED_SHARE_MIN:.0%} of passing faults recover by themselves",
        recovered >= passing * RECOVERED_SHARE_MIN and passing > 0,
        f"{recovered} of {passing}",
    )
    yield from _of_any(with_tasker, "with Tasker")


def _of_kill(killed: KillFigures) -> Iterator[Check]:
    yield Check(
        "the worker is killed in the middle of the run, with work in its hands",
        0 < killed.open_at_kill < killed.crowd.checkouts and killed.steps_in_hand > 0,
        f"{killed.open_at_kill} of {killed.crowd.checkouts} checkouts open, {killed.steps_in_hand} steps in its hands",
    )
    yield Check(
        "what the killed worker had in its hands runs again elsewhere",
        killed.steps_taken_over == killed.steps_in_hand,
        f"{killed.steps_taken_over} of {killed.steps_in_hand} steps",
    )
    yield from _of_any(killed.crowd, "with a killed worker")


def _of_any(crowd: CrowdFigures, which: str) -> Iterator[Check]:
    """What must hold for every crowd that Tasker runs."""
    good = crowd.checkouts - crowd.permanent_faults
    yield Check(
        f"{which}, no checkout is lost",
        crowd.lost == 0 and crowd.completed == good,
        f"{crowd.completed} of {good} completed, {crowd.lost} lost",
    )
    yield Check(
        f"{which}, every permanent fault ends in error with its code",
        crowd.refused == crowd.permanent_faults > 0,
        f"{crowd.refused} of {crowd.permanent_faults}: {codes(crowd)}",
    )
    yield Check(f"{which}, nobody is charged twice", crowd.charged_twice == 0, f"{crowd.charged_twice} customers")
    yield Check(
        f"{which}, nobody is charged without an order",
        crowd.charged_without_order == 0,
        f"{crowd.charged_without_order} customers",
    )


def codes(crowd: CrowdFigures) -> str:
    """What the permanent faults ended with, as a list for people."""
    return ", ".join(f"{times} {code}" for code, times in sorted(crowd.permanent_ended_with.items())) or "none"
