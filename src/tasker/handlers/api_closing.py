"""Closing what API handlers opened, for whoever ends a worker: importing this loads no HTTP client."""

from __future__ import annotations

import sys


async def close_api_clients() -> None:
    """Closes the running loop's client and the one of the process's threads, if any handler ever made a call.

    Calls under way come to their end first, and later calls, of another worker in this process, open new clients.
    """
    clients = sys.modules.get("tasker.handlers.api_clients")
    if clients is not None:
        await clients.close_clients()
