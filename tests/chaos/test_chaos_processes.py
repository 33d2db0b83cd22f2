"""Whom the nemesis strikes."""

from __future__ import annotations

import os
import signal
import subprocess

from chaos.scene import Process


def _nobody() -> Process:
    raise AssertionError("nobody asked for another")


def test_who_has_ended_is_not_struck_by_his_number() -> None:
    """Once a process has ended its number may be anybody's, this test's for one: no signal goes there."""
    child = subprocess.Popen(["/bin/sleep", "60"])
    one = Process("worker", child.pid, _nobody)
    assert one.is_alive
    assert one.signal(signal.SIGKILL)
    child.wait()
    one.pid = os.getpid()
    assert not one.is_alive
    assert not one.signal(signal.SIGKILL)
