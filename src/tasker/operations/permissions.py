"""The permissions that operations ask for, and when what a caller holds covers one."""

from __future__ import annotations

from collections.abc import Collection

PERMISSIONS = (
    "tasks:create",
    "tasks:read",
    "tasks:list",
    "tasks:cancel",
    "tasks:context_read",
    "steps:read",
    "steps:resolve",
    "dlq:read",
    "dlq:update",
    "dlq:stats",
    "templates:read",
    "templates:validate",
    "templates:publish",
    "system:config_read",
    "system:handlers_read",
    "system:analytics_read",
    "worker:config_read",
    "worker:templates_read",
    "breakers:read",
    "breakers:act",
    "queues:read",
    "queues:act",
    "workers:act",
    "gateway:work",
    "events:read",
    "auth:keys_read",
    "auth:keys_manage",
    "auth:refusals_read",
)
"""The 17 of tasker-core; `templates:publish`, because who may check a template may not yet change what tasks run; and
resources of their own for what tasker-core has not: so that no `resource:*` of before grants them."""
AUTHENTICATED = "authenticated"
"""Asked for where every caller may whom the server knows: it stands in no key and no role."""
RESOURCES = tuple(dict.fromkeys(permission.partition(":")[0] for permission in PERMISSIONS))
EVERY_PERMISSION = frozenset(f"{resource}:*" for resource in RESOURCES)
"""All of them, as `resource:*`."""


def covers(held: Collection[str], wanted: str) -> bool:
    """Whether what is held (names, or `resource:*`) includes the permission that is wanted; AUTHENTICATED all hold."""
    return wanted == AUTHENTICATED or wanted in held or f"{wanted.partition(':')[0]}:*" in held


def is_known(permission: str) -> bool:
    """Whether it is a permission, or `resource:*` of a resource that has some."""
    return permission in PERMISSIONS or permission in EVERY_PERMISSION
