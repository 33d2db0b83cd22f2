"""Who the server takes a caller for."""

from __future__ import annotations

from pydantic import Field

from tasker.operations.permissions import AUTHENTICATED
from tasker.operations.principal import Kind
from tasker.operations.registry import Access, Answer, Scope, operation
from tasker.operations.templates import Nothing


class Caller(Answer):
    """Who calls, and what they may."""

    subject: str = Field(description="The name that histories show.")
    kind: Kind = Field(description="api_key, jwt, host (the embedding application says so), or none: nobody is asked.")
    permissions: list[str] = Field(description="Those of its roles too; `resource:*` is all of a resource.")
    namespaces: list[str] | None = Field(description="Those that it sees and uses; null: all.")


@operation(AUTHENTICATED, Scope.ACROSS)
async def get_caller(access: Access, given: Nothing) -> Caller:
    """Show who the caller is and what it may, as the server sees it"""
    principal = access.principal
    return Caller(
        subject=principal.subject,
        kind=principal.kind,
        permissions=sorted(principal.permissions),
        namespaces=None if principal.namespaces is None else sorted(principal.namespaces),
    )
