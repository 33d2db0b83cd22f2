"""What a run has to show: counts, figures, violations; as JSON, and as lines for people."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Mapping
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

    def add(self, found: Mapping[str, Any]) -> None:
        """The counts of one part of a row, to those of the parts before."""
        for name, count in found.items():
            before = self.counts.get(name)
            if isinstance(count, Mapping):
                self.counts[name] = dict(Counter(before or {}) + Counter(count))
            else:
                self.counts[name] = (before or 0) + count

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


@dataclass
class Whole:
    """Of a run: its rows, and the sum of their faults."""

    commit: str
    seed: int
    rows: list[Report]
    minutes: float | None = None
    """What it was to take at most."""
    seconds: float = 0.0
    left_out: list[str] = field(default_factory=list[str])
    """Rows for which there was no time."""

    @property
    def kills(self) -> int:
        """See Report.kills."""
        return sum(one.kills for one in self.rows)

    @property
    def failed(self) -> int:
        """How many rows."""
        return sum(bool(one.violations) for one in self.rows)

    def faults(self) -> Counter[str]:
        """How often each struck."""
        return sum((Counter(one.fired) for one in self.rows), Counter[str]())

    def lines(self, kills_before: int) -> str:
        """For people; `kills_before` are those of earlier runs."""
        out = f"; no time for {', '.join(self.left_out)}" if self.left_out else ""
        head = f"{len(self.rows)} rows, {self.failed} failed, in {self.seconds:.0f} s{out}; seed {self.seed}"
        return (
            f"{head}, commit {self.commit}\n"
            f"{self.kills} kills; with those of the reports that are kept {kills_before + self.kills:,} so far"
        )

    def write(self, path: Path) -> None:
        """As JSON."""
        whole = {
            "commit": self.commit,
            "seed": self.seed,
            "minutes": self.minutes,
            "seconds": round(self.seconds, 1),
            "kills": self.kills,
            "faults": dict(self.faults()),
            "violations": sum(len(one.violations) for one in self.rows),
            "left_out": self.left_out,
            "rows": [one.as_json() for one in self.rows],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(whole, indent=1) + "\n")


def kills_of(files: Iterable[Path]) -> int:
    """The kills of reports that are kept."""
    return sum(json.loads(file.read_text())["kills"] for file in files)
