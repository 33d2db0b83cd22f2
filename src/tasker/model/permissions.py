"""What callers may be allowed to do: the permissions, wildcards over one resource, and roles as named sets of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import StrEnum

from tasker.model.errors import SettingsError


class Permission(StrEnum):
    """One kind of use, as `resource:action`. Every operation needs exactly one."""

    TASKS_CREATE = "tasks:create"
    TASKS_READ = "tasks:read"
    TASKS_LIST = "tasks:list"
    TASKS_CANCEL = "tasks:cancel"
    TASKS_CONTEXT_READ = "tasks:context_read"
    STEPS_READ = "steps:read"
    STEPS_RESOLVE = "steps:resolve"
    DLQ_READ = "dlq:read"
    DLQ_UPDATE = "dlq:update"
    DLQ_STATS = "dlq:stats"
    TEMPLATES_READ = "templates:read"
    TEMPLATES_VALIDATE = "templates:validate"
    SYSTEM_CONFIG_READ = "system:config_read"
    SYSTEM_HANDLERS_READ = "system:handlers_read"
    SYSTEM_ANALYTICS_READ = "system:analytics_read"
    WORKER_CONFIG_READ = "worker:config_read"
    WORKER_TEMPLATES_READ = "worker:templates_read"

    @property
    def resource(self) -> str:
        """What stands before the colon."""
        return self.value.partition(":")[0]


ALL_PERMISSIONS = frozenset(Permission)
WILDCARDS = {
    f"{resource}:*": frozenset(one for one in Permission if one.resource == resource)
    for resource in dict.fromkeys(one.resource for one in Permission)
}
"""`resource:*` to all permissions of the resource. There is no word for everything: a new resource is never granted by
an old key."""

_READS = frozenset(one for one in Permission if one.value.endswith((":read", ":list", ":stats")))
ROLES: Mapping[str, frozenset[str]] = {
    "viewer": _READS | {Permission.SYSTEM_ANALYTICS_READ, Permission.SYSTEM_HANDLERS_READ},
    "submitter": frozenset({Permission.TASKS_CREATE, Permission.TASKS_READ, Permission.TEMPLATES_READ}),
    "operator": frozenset(
        {
            "tasks:*",
            "steps:*",
            "dlq:*",
            "templates:*",
            Permission.SYSTEM_ANALYTICS_READ,
            Permission.SYSTEM_HANDLERS_READ,
        }
    ),
    "admin": frozenset(WILDCARDS),
}
"""The roles that are always there; settings may add others, or give these other contents."""


def expand(
    words: Iterable[str], roles: Iterable[str] = (), *, known: Mapping[str, Iterable[str]] = ROLES
) -> frozenset[Permission]:
    """The permissions that these words (`tasks:read`, `tasks:*`) and roles stand for.

    Raises SettingsError for a word or role that does not exist, with the nearest one that does.
    """
    return expand_words([*words, *(word for role in roles for word in _role(role, known))])


def expand_words(words: Iterable[str]) -> frozenset[Permission]:
    """The permissions that these words stand for. Raises SettingsError as `expand` does."""
    found: set[Permission] = set()
    for word in words:
        found |= WILDCARDS.get(word) or {permission_named(word)}
    return frozenset(found)


def permission_named(word: str) -> Permission:
    """The permission of that name. Raises SettingsError."""
    try:
        return Permission(word)
    except ValueError:
        raise SettingsError(_no_such("permission", word, [*Permission, *WILDCARDS])) from None


def known_words(words: Iterable[str]) -> list[str]:
    """Those of the words that stand for permissions, for callers that let others' words pass."""
    return [word for word in words if word in WILDCARDS or word in ALL_PERMISSIONS]


def _role(name: str, known: Mapping[str, Iterable[str]]) -> Iterable[str]:
    if name not in known:
        raise SettingsError(_no_such("role", name, list(known)))
    return known[name]


def _no_such(what: str, word: str, known: list[str]) -> str:
    if word == "*":
        return f'there is no {what} "*": name resources, as in {", ".join(sorted(WILDCARDS))}'
    near = get_close_matches(word, known, n=1)
    return f'there is no {what} "{word}"' + (
        f": did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
    )
