"""What is measured of each peer: scenes with their parameters, and how long each takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOWER, HIGHER = "lower", "higher"
OFFERED = [50, 80]
"""Percent of what a peer has just shown that it can do."""
FLOODS = 5
"""How often a database with a million finished tasks is flooded: it is filled once."""
FILL_S = 120.0
"""About what filling it takes."""


@dataclass(frozen=True)
class Cell:
    """One figure of each peer. `name` is `S2 2 workers`: the scenario, and which of its cases."""

    name: str
    title: str
    figure: str
    unit: str
    better: str
    scene: str
    seconds: float
    plan: Mapping[str, Any] = field(default_factory=dict[str, Any])
    repeats_max: int = 5
    """Five for what is asked first; others are run less often, so that all of it stays below an hour."""

    @property
    def scenario(self) -> str:
        """Its first part: `S2`."""
        return self.name.partition(" ")[0]

    @property
    def work(self) -> str:
        """What is run for it: cells that are the same here are two figures of one measurement."""
        return f"{self.scenario} {self.scene} {self.plan}"


def _alone(shape: str, title: str) -> Cell:
    return Cell(f"S1 {shape}", f"{title}, alone", "p50_ms", "ms", LOWER, "alone", 0.8, {"shape": shape, "workers": 0})


def _rate(name: str, title: str, repeats_max: int = 5, seconds: float = 2, **plan: Any) -> Cell:
    given = {"shape": "chain", "workers": 2, **plan}
    return Cell(name, title, "steps_per_second", "steps/s", HIGHER, "saturated", seconds, given, repeats_max)


CELLS = (
    _alone("chain", "A chain of 4"),
    _alone("diamond", "A diamond of 4"),
    _alone("mixed", "A mixed graph of 7"),
    _alone("tree", "A tree of 8"),
    _rate("S2 1 worker", "Chains of 4, saturated, 1 worker process", repeats_max=3, workers=1),
    _rate("S2 2 workers", "Chains of 4, saturated, 2 worker processes"),
    _rate("S2 4 workers", "Chains of 4, saturated, 4 worker processes", repeats_max=3, workers=4),
    *(
        Cell(
            f"S3 {width}",
            f"1 step, {width} beside each other, 1 step",
            "p50_ms",
            "ms",
            LOWER,
            "alone",
            1,
            {"shape": f"fan_{width}", "workers": 2},
            repeats_max={10: 5, 100: 3, 1000: 1}[width],
        )
        for width in (10, 100, 1000)
    ),
    Cell("S4 one", "Submit one task", "p50_ms", "ms", LOWER, "submit", 2, {"shape": "chain", "workers": 0}, 3),
    Cell(
        "S4 bulk",
        "Submit 500 a call",
        "bulk_tasks_per_second",
        "tasks/s",
        HIGHER,
        "submit",
        2,
        {"shape": "chain", "workers": 0},
        3,
    ),
    Cell(
        "S5 idle",
        "Picked up by an idle worker",
        "p50_ms",
        "ms",
        LOWER,
        "pick_up",
        2,
        {"shape": "single", "workers": 1, "is_traced": True},
        3,
    ),
    *(
        Cell(
            f"S6 {percent}",
            f"A chain of 4 at {percent} % of the own maximum",
            f"p99_ms_at_{percent}",
            "ms",
            LOWER,
            "offered",
            2,
            {"shape": "chain", "workers": 2, "percents": OFFERED},
            repeats_max=2,
        )
        for percent in OFFERED
    ),
    Cell(
        "S7 snapshot",
        "Rate kept under an open snapshot",
        "retention",
        "of 1",
        HIGHER,
        "soak",
        4,
        {"shape": "chain", "workers": 2},
        repeats_max=2,
    ),
    *(
        Cell(
            f"S8 {scene}",
            title,
            "recovery_s",
            "s",
            LOWER,
            scene,
            10,
            {"shape": "chain", "workers": 2, "work_ms": 200.0, "is_traced": True},
            repeats_max=2,
        )
        for scene, title in (
            ("killed", "Goes on after kill -9 of a worker"),
            ("restarted", "Goes on after the database restarted"),
        )
    ),
    Cell(
        "S9 million",
        "Chains of 4 with a million finished tasks",
        "steps_per_second",
        "steps/s",
        HIGHER,
        "crowded",
        2,
        {"shape": "chain", "workers": 2, "finished": 1_000_000},
        repeats_max=1,
    ),
    _rate("S10 failing", "Chains of 4, a step of 10 % of the tasks fails once", repeats_max=1, fail_share=0.1),
    *(
        _rate(f"S10 {title}", f"Chains of 4, payloads of {title}", repeats_max=1, seconds=1.5, payload_bytes=size)
        for title, size in (("100 B", 100), ("10 kB", 10_000), ("1 MB", 1_000_000))
    ),
    _rate("S11 single", "Tasks of one step", repeats_max=3, shape="single"),
)


def estimated_s(cell: Cell, start_s: float) -> float:
    """About how long a cell takes for one peer, on a machine that does nothing else."""
    if cell.scene == "crowded":
        return start_s + FILL_S + cell.seconds * FLOODS
    return start_s + cell.seconds * (0.5 + len(OFFERED) if cell.scene == "offered" else 1)
