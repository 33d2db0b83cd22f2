"""A thread that takes the steps of this process and calls whoever asked for them."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from tasker_core import dispatch
from tasker_core.polling import STOP_S, PollingThread
from tasker_core.types import FfiDispatchMetrics, FfiStepEvent

_log = structlog.get_logger("tasker_core.event_poller")


class EventPoller:
    """Takes one step after the other and calls everybody with it, in its own thread: so they run one at a time.

    Intervals of checks count looks.
    """

    def __init__(
        self, polling_interval_ms: int = 10, starvation_check_interval: int = 100, cleanup_interval: int = 1000
    ) -> None:
        self._starvation_check_interval = starvation_check_interval
        self._cleanup_interval = cleanup_interval
        self._step_listeners: list[Callable[[FfiStepEvent], None]] = []
        self._metrics_listeners: list[Callable[[FfiDispatchMetrics], None]] = []
        self._error_listeners: list[Callable[[Exception], None]] = []
        self._thread = PollingThread("event-poller", polling_interval_ms, self._look)
        self._looks = 0
        self._said = ""

    def on_step_event(self, callback: Callable[[FfiStepEvent], None]) -> None:
        """Calls it with each step from now on."""
        self._step_listeners.append(callback)

    def on_metrics(self, callback: Callable[[FfiDispatchMetrics], None]) -> None:
        """Calls it with the figures of the steps that wait, from time to time."""
        self._metrics_listeners.append(callback)

    def on_error(self, callback: Callable[[Exception], None]) -> None:
        """Calls it with what went wrong in a look or a callback."""
        self._error_listeners.append(callback)

    def start(self) -> None:
        """Begins. Raises RuntimeError where it runs already."""
        self._thread.start()

    def stop(self, timeout: float = STOP_S) -> None:
        """Ends, after the step under way; waits for that no longer than so many seconds."""
        self._thread.stop(timeout)

    @property
    def is_running(self) -> bool:
        """Whether it takes steps."""
        return self._thread.is_running

    def get_metrics(self) -> FfiDispatchMetrics:
        """How many steps wait, and for how long."""
        return dispatch.get_ffi_dispatch_metrics()

    def _look(self) -> bool:
        self._looks += 1
        try:
            if self._looks % self._starvation_check_interval == 0:
                self._check()
            if self._looks % self._cleanup_interval == 0:
                dispatch.cleanup_timeouts()
            event = dispatch.poll_step_events()
        except Exception as error:
            # The worker may be stopped under the poller, and started again: it goes on.
            self._failed(error)
            return False
        if event is None:
            return False
        for listener in tuple(self._step_listeners):
            try:
                listener(event)
            except Exception as error:
                self._failed(error)
        return True

    def _check(self) -> None:
        dispatch.check_starvation_warnings()
        metrics = self.get_metrics()
        for listener in tuple(self._metrics_listeners):
            listener(metrics)

    def _failed(self, error: Exception) -> None:
        said = f"{type(error).__name__}: {error}"
        if not self._error_listeners and said != self._said:
            self._said = said  # once: a worker that is stopped under the poller would fill the log
            _log.error("the poller had an error and goes on", error=said)
        for listener in tuple(self._error_listeners):
            listener(error)
