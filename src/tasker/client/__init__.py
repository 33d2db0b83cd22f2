"""For programs that talk to a server over HTTP: `AsyncTaskerClient`, and `TaskerClient`, its twin without await.

What it takes and answers are the operations' own models, so that there is one contract. Importing this package is
cheap; they come with the first name that is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasker.client.async_client import AsyncTaskerClient as AsyncTaskerClient
    from tasker.client.profiles import Profile as Profile
    from tasker.client.profiles import find_profile as find_profile
    from tasker.client.sync_client import TaskerClient as TaskerClient

_HOMES = {
    "AsyncTaskerClient": "tasker.client.async_client",
    "TaskerClient": "tasker.client.sync_client",
    **dict.fromkeys(("Profile", "find_profile"), "tasker.client.profiles"),
}
__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll] - the names above, each at home elsewhere


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tasker.client' has no attribute {name!r}")
    return getattr(import_module(home), name)
