"""Who calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tasker.operations.permissions import EVERY_PERMISSION, covers

Kind = Literal["none", "api_key", "jwt", "host"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who calls, by which means, and what they may.

    `kind` is `none` where authentication is off, `host` where the embedding application vouches for its user.
    """

    subject: str
    """The name that histories show."""
    permissions: frozenset[str]
    """Names, or `resource:*`."""
    namespaces: frozenset[str] | None
    """Those that the caller may see and change; None for all."""
    kind: Kind
    key: str | None = None
    """What quotas are counted by: the id of the API key, or the subject where it is None."""

    def holds(self, permission: str) -> bool:
        """Whether the caller has this permission."""
        return covers(self.permissions, permission)

    def reaches(self, namespace: str) -> bool:
        """Whether the caller may see and change this namespace."""
        return self.namespaces is None or namespace in self.namespaces


ANYBODY = Principal(subject="api", permissions=EVERY_PERMISSION, namespaces=None, kind="none")
"""Every caller, where authentication is off."""
