"""Handlers as classes: `call(context)`, or the older form `process(task, sequence, step)`."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from tasker.handlers.context import StepContext

Pool = Literal["async", "thread", "process"]
"""Where a handler runs: on the event loop, in a thread, or in a process of its own."""


class StepHandler:
    """A handler as a class. Each execution gets a fresh instance.

    Give it a `handler_name` (any text: `send_mail`, `Shop::SendMailHandler`) and one of two methods, sync or async:
    `call(self, context)`, or `process(self, task, sequence, step)` as older handlers have it. The constructor takes
    nothing, or `config`: the step's `handler.initialization`. What the method returns is the step's result.
    """

    handler_name: ClassVar[str] = ""
    handler_version: ClassVar[str] = "1.0.0"
    runs_in: ClassVar[Pool | None] = None
    """None: the event loop for an async method, a thread for a plain one."""
    system_dependency: ClassVar[str | None] = None
    """The outside system that it depends on, by which its breaker is named. What a template's step says comes first."""

    @property
    def name(self) -> str:
        """`handler_name`, or the name of the class where that is empty."""
        return self.handler_name or type(self).__name__

    @property
    def version(self) -> str:
        """The handler's own version: for people, the engine does not look at it."""
        return self.handler_version

    def call(self, context: StepContext) -> Any:
        """Run the step and return its result; raise PermanentError or RetryableError where it fails."""
        raise NotImplementedError(f"{type(self).__name__} defines neither `call(context)` nor `process(...)`")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, version={self.version!r})"
