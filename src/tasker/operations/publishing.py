"""Publishing templates: one, or many together."""

from __future__ import annotations

from pydantic import Field

from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.operations.templates import GivenTemplate, loaded_of
from tasker.store.connection import Connection
from tasker.templates import Loaded
from tasker.templates.publishing import Published, publish


class PublishedTemplate(Answer):
    """A version that is published now."""

    namespace: str
    name: str
    version: str
    template_id: int = Field(description="The database's number of this revision.")
    is_new: bool = Field(description="It was not published before; the same content may be published again.")
    warnings: list[str]


@operation("templates:publish", Scope.ACROSS)
async def publish_template(access: Access, given: GivenTemplate) -> PublishedTemplate:
    """Publish a version of a template

    Other content under a version that exists is refused, and told what differs.
    """
    return (await _publish(access, [await loaded_of(access, given)], force=False))[0]


class GivenTemplates(Given):
    """Templates to be published together."""

    templates: list[GivenTemplate] = Field(min_length=1, max_length=200)
    force: bool = Field(
        default=False, description="Publish other content under a version that exists, as its next revision."
    )


class PublishedTemplates(Answer):
    """In the order of the request."""

    templates: list[PublishedTemplate]


@operation("templates:publish", Scope.ACROSS)
async def publish_templates(access: Access, given: GivenTemplates) -> PublishedTemplates:
    """Publish many templates: all, or none if one is refused"""
    loaded = [await loaded_of(access, one) for one in given.templates]
    return PublishedTemplates(templates=await _publish(access, loaded, force=given.force))


async def _publish(access: Access, loaded: list[Loaded], *, force: bool) -> list[PublishedTemplate]:
    """In one transaction, in the order of their names: two that publish the same wait for each other in that order."""
    for one in loaded:
        access.require(one.template.namespace)
    verbs, ordered = access.engine.verbs, sorted(loaded, key=lambda one: one.template.full_name)

    async def work(connection: Connection) -> dict[str, PublishedTemplate]:
        async with connection.transaction():
            return {
                one.template.full_name: _as_published(one, await publish(connection, verbs, one.template, force=force))
                for one in ordered
            }

    done = await access.engine.ask(work)
    return [done[one.template.full_name] for one in loaded]


def _as_published(loaded: Loaded, published: Published) -> PublishedTemplate:
    template = published.template
    return PublishedTemplate(
        namespace=template.namespace,
        name=template.name,
        version=template.version,
        template_id=published.template_id,
        is_new=published.is_new,
        warnings=[str(warning) for warning in loaded.warnings],
    )
