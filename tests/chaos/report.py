"""What a run has to show: counts, figures, violations; as JSON, and as lines for people."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FIRED_MIN, SUCCEEDED_MIN = 0.95, 0.90


@dataclass
class Report:
    """Of one row."""

    row: str
    title: str
    seed: int
    scale: float
    commit: str = ""
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    planned: dict[str, int] = field(default_factory=dict[str, int])
    fired: dict[str, int] = field(default_factory=dict[str, int])
    counts: dict[str, Any] = field(default_factory=dict[str, Any])
    to_terminal_s: float | None = None
    """From the last fault until every task had ended (X)."""
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list[str])
    late: list[str] = field(default_factory=list[str])
    """Figures that were not reached: a matter of the machine too, so nothing fails for them."""
    began: float = field(default_factory=time.monotonic, repr=False)

    def plan(self, planned: Counter[str], fired: Counter[str]) -> None:
        """Takes over what a nemesis has done."""
        self.planned = dict(Counter(self.planned) + planned)
        self.fired = dict(Counter(self.fired) + fired)

    def judge(self) -> None:
        """I17: faults that were planned have struck, and work was done all the same."""
        planned, fired = sum(self.planned.values()), sum(self.fired.values())
        if fired < FIRED_MIN * planned:
            self.violations.append(f"I17: {fired} of {planned} planned faults struck: {self.planned}, {self.fired}")
        for name, count in self.planned.items():
            if count and not self.fired.get(name):
                self.violations.append(f"I17: {name} was planned {count} times, and never struck")
        tasks, well = self.counts.get("tasks"), self.counts.get("complete", 0) + self.counts.get("meant_to_fail", 0)
        if tasks is not None and well < SUCCEEDED_MIN * tasks:
            self.violations.append(f"I17: {well} of {tasks} tasks ended as their input meant them to")
        if tasks == 0:
            self.violations.append("I17: there was no work")

    @property
    def kills(self) -> int:
        """How many processes were killed, the database's and the broker's with them."""
        return sum(count for name, count in self.fired.items() if name.startswith(("kill", "crash")))

    @property
    def replay(self) -> str:
        """The command that runs the row again."""
        return f"PYTHONPATH=tests .venv/bin/python -m chaos --rows {self.row} --scale {self.scale:g} --seed {self.seed}"

    def as_json(self) -> dict[str, Any]:
        """For files."""
        fields = asdict(self)
        del fields["began"]
        return {**fields, "kills": self.kills, "replay": self.replay}

    def lines(self) -> str:
        """For people; where something is wrong, with the way to see it again."""
        x = "" if self.to_terminal_s is None else f", all ended {self.to_terminal_s:.1f} s after the last fault"
        what = f"{self.row} {self.title}: {self.seconds:.0f} s{x}; {self.counts}; struck {self.fired}"
        if not self.violations:
            return "\n     late: ".join([f"ok   {what}", *self.late])
        told = "\n".join(f"     {line}" for line in self.violations[:20])
        more = f"\n     and {len(self.violations) - 20} more" if len(self.violations) > 20 else ""
        return (
            f"FAIL {what}\n{told}{more}\n     seed {self.seed}, commit {self.commit}, config {self.config}\n"
            f"     again: {self.replay}"
        )


def commit() -> str:
    """The commit that is tested, with a plus where files differ from it."""
    told = subprocess.run(["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


def write(path: Path, reports: list[Report]) -> None:
    """All rows of a run, with the sum of their faults."""
    faults: Counter[str] = Counter()
    for one in reports:
        faults.update(one.fired)
    whole = {
        "commit": reports[0].commit if reports else "",
        "kills": sum(one.kills for one in reports),
        "faults": dict(faults),
        "violations": sum(len(one.violations) for one in reports),
        "rows": [one.as_json() for one in reports],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=1) + "\n")
