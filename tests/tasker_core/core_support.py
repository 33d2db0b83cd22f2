"""What the tests of the older interface share."""

from __future__ import annotations

from collections.abc import Callable

from tasker_core import TaskerClient

Application = Callable[..., TaskerClient]
"""Starts an application of modules (`name="code"`) and templates, and gives a client."""
