"""The command `tasker`. Thin: it reads arguments, calls what the other packages offer, and prints.

Importing it is cheap, and so is `tasker --help`: the rest is imported by the command that needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code (docs/cli.md). `arguments` are those of the process where none are given."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in ([], ["--help"], ["-h"]):
        from tasker.cli.commands import overview

        print(overview())
        return 0
    from tasker.cli.app import run

    return run(words)
