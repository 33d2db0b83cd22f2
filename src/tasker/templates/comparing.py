"""What two published versions of a template differ in."""

from __future__ import annotations

from dataclasses import dataclass

from tasker.model.fleet import TemplateDefinition
from tasker.store.connection import Connection
from tasker.store.reads import Reads
from tasker.templates.definition import differences


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateDiff:
    """Two versions, and what leads from the older to the newer one: a line each, such as
    `steps.charge.retry.max_attempts: 3 -> 5`. Their versions themselves are no difference."""

    old: TemplateDefinition
    new: TemplateDefinition
    lines: tuple[str, ...]


async def compare_versions(
    connection: Connection, reads: Reads, namespace: str, name: str, old: str, new: str | None = None
) -> TemplateDiff:
    """What differs between two versions of a template; `new` is the newest where none is named.

    Raises TemplateNotFound.
    """
    before = await reads.template(connection, namespace, name, old)
    after = await reads.template(connection, namespace, name, new)
    contents = [{**each.definition, "version": None} for each in (before, after)]
    return TemplateDiff(old=before, new=after, lines=tuple(differences(*contents)))
