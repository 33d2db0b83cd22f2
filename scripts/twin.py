"""Writes the client without await from the one with await, so that nothing is written twice.

Usage: python scripts/twin.py [--check]. With --check nothing is written; 1 where a twin is not that of its source.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).parents[1] / "src" / "tasker" / "client"
TWINS = {f"async_{part}.py": f"sync_{part}.py" for part in ("http", "grpc", "calls", "gateway", "oversight", "client")}
WORDS = {
    r"async (def|with|for)\b": r"\1",
    r"\bawait ": "",
    r"\bAsync(Generator|Iterator|TaskerClient|Gateway|Oversight|Http|Grpc|Calls|Wire|Client|BaseTransport)\b": r"\1",
    r"\basync_(http|grpc|calls|gateway|oversight|client)\b": r"sync_\1",
    r"\basync_(pause|wire|channel)\b": r"\1",
    r"\b__a(enter|exit)__\b": r"__\1__",
    r"\ba(close|read|next|closing)\b": r"\1",
}
"""What the source says, and its twin instead."""


def twin(source: str) -> str:
    """The text of the twin, before it is formatted."""
    head = '"""Made by scripts/twin.py: see '
    for pattern, instead in WORDS.items():
        source = re.sub(pattern, instead, source)
    return source.replace('"""', head + "its source, the same with await.\n\n", 1)


def is_twin(text: str, source: str) -> bool:
    """Whether a text is the twin of a source, however it is formatted."""
    return _parts(text) == _parts(twin(source))


def _parts(text: str) -> tuple[list[str], list[str]]:
    """The imports, in any order, and the rest."""
    nodes = [(isinstance(node, ast.Import | ast.ImportFrom), ast.dump(node)) for node in ast.parse(text).body]
    return sorted(dump for is_import, dump in nodes if is_import), [dump for is_import, dump in nodes if not is_import]


def main() -> int:
    """Writes, or checks."""
    stale = 0
    for source, target in TWINS.items():
        wanted, file = (CLIENT / source).read_text(), CLIENT / target
        if "--check" in sys.argv:
            is_stale = not file.exists() or not is_twin(file.read_text(), wanted)
            stale += is_stale
            print(f"{target}: {'is not the twin of its source: run scripts/twin.py' if is_stale else 'is the twin'}")
            continue
        file.write_text(twin(wanted))
        ruff = Path(sys.executable).with_name("ruff")
        subprocess.run([ruff, "check", "--quiet", "--fix", "--select", "I", file], check=True)  # noqa: S603
        subprocess.run([ruff, "format", "--quiet", file], check=True)  # noqa: S603
    return min(stale, 1)


if __name__ == "__main__":
    sys.exit(main())
