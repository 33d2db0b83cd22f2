"""Roles: named sets of permissions. A key or token that holds a role may what the role says at the time of the call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from tasker.model.errors import SettingsError
from tasker.operations.permissions import EVERY_PERMISSION, PERMISSIONS, is_known

ROLES: Mapping[str, tuple[str, ...]] = {
    "viewer": (
        *(one for one in PERMISSIONS if one.endswith((":read", ":list", ":stats"))),
        "system:analytics_read",
        "system:handlers_read",
    ),
    "submitter": ("tasks:create", "tasks:read", "templates:read"),
    "worker": ("gateway:work", "worker:templates_read"),
    "operator": (
        *("tasks:*", "steps:*", "dlq:*", "breakers:*", "queues:*", "workers:*", "events:read", "templates:read"),
        *("templates:validate", "system:analytics_read", "system:handlers_read", "worker:templates_read"),
    ),
    "admin": tuple(sorted(EVERY_PERMISSION)),
}
"""The roles that are always there; settings add others, or give these other contents."""


def all_roles(own: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """The built-in roles with those of the settings over them. Raises SettingsError for a permission that is none."""
    return {name: frozenset(checked(words, f"role {name}")) for name, words in {**ROLES, **own}.items()}


def checked(words: Iterable[str], where: str) -> list[str]:
    """The same words. Raises SettingsError for the first that is no permission, with the nearest one that is."""
    found = list(words)
    for word in found:
        if not is_known(word):
            raise SettingsError(f"{where}: {no_such('permission', word, [*PERMISSIONS, *sorted(EVERY_PERMISSION)])}")
    return found


def of_roles(names: Iterable[str], roles: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """What these roles may together. Raises SettingsError for one that does not exist."""
    found: frozenset[str] = frozenset()
    for name in names:
        if name not in roles:
            raise SettingsError(no_such("role", name, list(roles)))
        found |= roles[name]
    return found


def no_such(what: str, word: str, known: list[str]) -> str:
    """What to say of a word that stands for nothing."""
    if word == "*":
        return f'there is no {what} "*": name resources, as in {", ".join(sorted(EVERY_PERMISSION))}'
    near = get_close_matches(word, known, n=1)
    return f'there is no {what} "{word}"' + (
        f": did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
    )
