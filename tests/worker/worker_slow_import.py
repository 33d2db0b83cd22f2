"""A module of handlers that takes long to import where a variable says so, as heavy libraries do."""

from __future__ import annotations

import os
import time

from tasker import step_handler

SECONDS = "TASKER_TEST_IMPORT_S"

time.sleep(float(os.environ.get(SECONDS, "0")))


@step_handler("quick", runs_in="process")
def quick() -> str:
    """Does nothing long."""
    return "done"
