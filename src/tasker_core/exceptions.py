"""What goes wrong with the worker itself, as the top-level names of `tasker_core` have it.

Handlers raise those of `tasker_core.errors`, another family.
"""

from __future__ import annotations

from tasker.model.errors import TaskerError as EngineError
from tasker.store.errors import CONNECTION_ERRORS
from tasker.store.reads import DRIVER_ERRORS

TROUBLE: tuple[type[Exception], ...] = (EngineError, *CONNECTION_ERRORS, *DRIVER_ERRORS)
"""What asking the database may raise."""


class TaskerError(EngineError):
    """Something went wrong in the worker."""


class WorkerNotInitializedError(TaskerError, RuntimeError):
    """The worker system is not initialized: call bootstrap_worker(), or Worker.start()."""


class WorkerBootstrapError(TaskerError):
    """The worker could not be started."""


class WorkerAlreadyRunningError(TaskerError):
    """A worker runs in this process already."""


class FFIError(TaskerError):
    """A call into the engine failed."""


class ConversionError(TaskerError):
    """A value could not be converted for the engine."""


class NotAvailableError(TaskerError, NotImplementedError):
    """This part of the interface is not in this version of Tasker: see docs/compatibility.md."""
