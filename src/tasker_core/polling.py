"""A thread that looks again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

STOP_S = 5.0
_log = structlog.get_logger("tasker_core.polling")


class PollingThread:
    """Calls `look` until it is stopped; waits between two calls where the first found nothing.

    One that `drains` goes on, once it is stopped, until it finds nothing.
    """

    def __init__(self, name: str, interval_ms: int, look: Callable[[], bool], *, drains: bool = False) -> None:
        self._name = name
        self._interval_s = interval_ms / 1000
        self._look = look
        self._drains = drains
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether it looks."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begins. Raises RuntimeError where it runs already."""
        if self.is_running:
            raise RuntimeError(f"{self._name} is running already")
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._stopping,), name=f"tasker-core-{self._name}", daemon=True
        )
        self._thread.start()

    def stop(self, timeout: float = STOP_S) -> None:
        """Ends, after the call under way; waits for that no longer than so many seconds."""
        self._stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            if not self._looked():
                stopping.wait(self._interval_s)
        while self._drains and self._looked():
            pass

    def _looked(self) -> bool:
        try:
            return self._look()
        except Exception as error:
            # What an application's callback raises must not end the thread that serves the others.
            _log.error("a poller failed and goes on", poller=self._name, error=f"{type(error).__name__}: {error}")
            return False
