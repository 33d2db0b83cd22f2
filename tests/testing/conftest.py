"""The plugin's fixtures, also where the project is installed without its entry points; and a small shop."""

from __future__ import annotations

import sys
from pathlib import Path

from tasker.testing.plugin import tasker_database, tasker_databases, workflow

__all__ = ["tasker_database", "tasker_databases", "workflow"]

EXAMPLES = Path(__file__).parents[2] / "examples"
if str(EXAMPLES) not in sys.path:
    sys.path.insert(0, str(EXAMPLES))
