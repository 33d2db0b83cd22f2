"""For authors of handlers: run one handler, or a whole template on a clock that moves by itself.

See docs/testing.md. The names below are imported when they are first used: pytest loads the plugin of this package in
every run, also in those that test nothing of Tasker's.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasker.testing.databases import Databases as Databases
    from tasker.testing.faults import Fault as Fault
    from tasker.testing.faults import fail as fail
    from tasker.testing.faults import lose_worker as lose_worker
    from tasker.testing.handling import Handled as Handled
    from tasker.testing.handling import run_handler as run_handler
    from tasker.testing.handling import run_handler_async as run_handler_async
    from tasker.testing.record import Attempt as Attempt
    from tasker.testing.record import TaskRecord as TaskRecord
    from tasker.testing.workflow import Workflow as Workflow

_HOMES = {
    "Databases": "tasker.testing.databases",
    **dict.fromkeys(("Fault", "fail", "lose_worker"), "tasker.testing.faults"),
    **dict.fromkeys(("Handled", "run_handler", "run_handler_async"), "tasker.testing.handling"),
    **dict.fromkeys(("Attempt", "TaskRecord"), "tasker.testing.record"),
    "Workflow": "tasker.testing.workflow",
}
__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll] - the names above, each at home elsewhere


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tasker.testing' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
