"""Templates: what is published, in which versions and what they differ in, their graphs; checking and publishing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import orjson
from pydantic import Field

from tasker.model.errors import TemplateError
from tasker.model.fleet import TemplateDefinition, TemplateInfo
from tasker.model.template import Template
from tasker.operations.fields import Name
from tasker.operations.registry import Access, Answer, Given, Scope, operation
from tasker.store import lists
from tasker.store.connection import Connection
from tasker.store.descriptions import descriptions
from tasker.templates import Loaded, differences, from_definition, load_text
from tasker.templates import graph as graphs


class ListTemplates(Given):
    """Which templates."""

    namespace: Name | None = None
    name: Name | None = None
    only_newest: bool = Field(default=False, description="One version of each name only.")


class NamespaceSummary(Answer):
    """A namespace and how many templates it has, versions not counted."""

    name: str
    description: None = Field(default=None, description="Always null: namespaces have none.")
    template_count: int


class TemplateSummary(Answer):
    """A published version of a template."""

    name: str
    namespace: str
    version: str
    description: str | None
    step_count: int
    revision: int
    published_at: datetime
    digest: str = Field(description="Of its content.")
    template_id: int = Field(description="The database's number of this revision.")
    identity_strategy: str


class TemplateListResponse(Answer):
    """Published templates, by namespace and name, newest version first."""

    namespaces: list[NamespaceSummary]
    templates: list[TemplateSummary]
    total_count: int


@operation("templates:read", Scope.ACROSS)
async def list_templates(access: Access, given: ListTemplates) -> TemplateListResponse:
    """List published templates"""
    found, said = await _listed(access, given)
    templates = [_template_summary(one, said.get(one.template_id)) for one in found]
    return TemplateListResponse(namespaces=_namespaces(found), templates=templates, total_count=len(templates))


async def _listed(access: Access, given: ListTemplates) -> tuple[list[TemplateInfo], dict[int, str]]:
    reads, schema = access.engine.reads, access.engine.settings.schema_name

    async def read(connection: Connection) -> tuple[list[TemplateInfo], dict[int, str]]:
        found = await reads.templates(
            connection, namespace=given.namespace, name=given.name, only_newest=given.only_newest
        )
        seen = [one for one in found if access.principal.reaches(one.namespace)]
        return seen, await descriptions(connection, [one.template_id for one in seen], schema)

    return await access.engine.ask(read)


def _namespaces(found: list[TemplateInfo]) -> list[NamespaceSummary]:
    names: dict[str, set[str]] = {}
    for one in found:
        names.setdefault(one.namespace, set()).add(one.name)
    return [NamespaceSummary(name=name, template_count=len(templates)) for name, templates in names.items()]


def _template_summary(one: TemplateInfo, description: str | None) -> TemplateSummary:
    return TemplateSummary(
        name=one.name,
        namespace=one.namespace,
        version=one.version,
        description=description,
        step_count=one.step_count,
        revision=one.revision,
        published_at=one.published_at,
        digest=one.digest,
        template_id=one.template_id,
        identity_strategy=one.identity_strategy,
    )


class NamespaceInfo(NamespaceSummary):
    """A namespace, and all that it has."""

    version_count: int = Field(description="Versions of these templates.")
    handler_count: int = Field(description="Handlers that steps of these templates need, or that workers have.")
    worker_count: int = Field(description="Living workers that have one of them.")


class NamespaceList(Answer):
    """Namespaces, by name."""

    namespaces: list[NamespaceInfo]


class Nothing(Given):
    """There is nothing to say."""


@operation("templates:read", Scope.ACROSS)
async def list_namespaces(access: Access, given: Nothing) -> NamespaceList:
    """List the namespaces: their templates, handlers and workers"""
    schema, shown = access.engine.settings.schema_name, access.confined_to(None)
    found = await access.engine.ask(lambda on: lists.list_namespaces(on, namespaces=shown, schema=schema))
    return NamespaceList(
        namespaces=[
            NamespaceInfo(
                name=one.namespace,
                template_count=one.templates,
                version_count=one.versions,
                handler_count=one.handlers,
                worker_count=one.sessions,
            )
            for one in found
        ]
    )


class OfName(Given):
    """All versions of a template."""

    namespace: Name
    name: Name


class OfVersion(OfName):
    """One version of a template."""

    version: Name = Field(examples=["1.0.0"])


class TemplateVersions(Answer):
    """The versions of one template, newest first."""

    namespace: str
    name: str
    versions: list[TemplateSummary]


@operation("templates:read", Scope.NAMESPACE)
async def list_versions(access: Access, given: OfName) -> TemplateVersions:
    """List the versions of a template, newest first"""
    found, said = await _listed(access, ListTemplates(namespace=given.namespace, name=given.name))
    if not found:  # raises TemplateNotFound, with the names that are like it
        reads = access.engine.reads
        await access.engine.ask(lambda connection: reads.template(connection, given.namespace, given.name))
    versions = [_template_summary(one, said.get(one.template_id)) for one in found]
    return TemplateVersions(namespace=given.namespace, name=given.name, versions=versions)


class StepDefault(Answer):
    """A step of a template."""

    name: str
    description: str | None
    default_retryable: bool
    default_max_attempts: int
    handler: str
    dependencies: list[str]


class TemplateDetail(Answer):
    """A published version of a template, whole."""

    name: str
    namespace: str
    version: str
    description: str | None
    configuration: dict[str, Any] = Field(description="The template, with every default written out.")
    steps: list[StepDefault]
    revision: int
    published_at: datetime
    template_id: int


@operation("templates:read", Scope.NAMESPACE)
async def get_template(access: Access, given: OfVersion) -> TemplateDetail:
    """Show a published version of a template"""
    found, template = await _published(access, given.namespace, given.name, given.version)
    return TemplateDetail(
        name=template.name,
        namespace=template.namespace,
        version=template.version,
        description=template.description,
        configuration=dict(found.definition),
        steps=[
            StepDefault(
                name=step.name,
                description=step.description,
                default_retryable=step.retry.retryable,
                default_max_attempts=step.retry.max_attempts,
                handler=step.handler.key,
                dependencies=list(step.dependencies),
            )
            for step in template.steps
        ],
        revision=found.revision,
        published_at=found.published_at,
        template_id=found.template_id,
    )


async def _published(access: Access, namespace: str, name: str, version: str) -> tuple[TemplateDefinition, Template]:
    reads = access.engine.reads
    found = await access.engine.ask(lambda connection: reads.template(connection, namespace, name, version))
    return found, from_definition(dict(found.definition))


class TemplateGraph(Answer):
    """The graph of a template: an edge [a, b] says that b depends on a."""

    template: str
    levels: list[list[str]] = Field(description="Steps without dependencies, those that need only them, and so on.")
    edges: list[Annotated[list[str], Field(min_length=2, max_length=2)]]
    types: dict[str, str] = Field(description="The type of each step.")
    mermaid: str = Field(description="The same as a Mermaid flowchart.")


@operation("templates:read", Scope.NAMESPACE)
async def get_template_graph(access: Access, given: OfVersion) -> TemplateGraph:
    """Show the graph of a template, as data and as a Mermaid flowchart"""
    _, template = await _published(access, given.namespace, given.name, given.version)
    return TemplateGraph(
        template=template.full_name,
        levels=graphs.levels(template),
        edges=[[parent, step.name] for step in template.steps for parent in step.dependencies],
        types={step.name: step.type for step in template.steps},
        mermaid=graphs.mermaid(template),
    )


class CompareVersions(OfName):
    """Two versions of a template."""

    old: Name = Field(examples=["1.0.0"])
    new: Name = Field(examples=["1.1.0"])


class TemplateDiff(Answer):
    """What differs between two versions, a line each; empty where they have the same content."""

    old: str
    new: str
    differences: list[str] = Field(examples=[["steps.charge.retry.max_attempts: 3 -> 5"]])


@operation("templates:read", Scope.NAMESPACE)
async def compare_versions(access: Access, given: CompareVersions) -> TemplateDiff:
    """Show what differs between two versions of a template"""
    old, _ = await _published(access, given.namespace, given.name, given.old)
    new, _ = await _published(access, given.namespace, given.name, given.new)
    lines = [line for line in differences(old.definition, new.definition) if not line.startswith("version:")]
    return TemplateDiff(old=given.old, new=given.new, differences=lines)


class GivenTemplate(Given):
    """A template: its text in YAML or JSON, or the object itself."""

    template: str | dict[str, Any] = Field(
        examples=[
            "tasker: 1\nnamespace_name: shop\nname: order\nversion: 1.0.0\nsteps: [{name: charge, handler: charge}]"
        ]
    )
    environment: Name | None = Field(
        None, description="Which `environments` block applies; the server's where none is."
    )


class TemplateValidationResponse(Answer):
    """Whether a template is valid, and everything that is wrong with it, a line each with its place."""

    valid: bool
    errors: list[str]
    warnings: list[str]
    required_capabilities: list[str] = Field(description="The queues whose workers have to live.")
    step_handlers: list[str]


@operation("templates:validate", Scope.ACROSS)
async def validate_template(access: Access, given: GivenTemplate) -> TemplateValidationResponse:
    """Check a template; nothing is stored"""
    try:
        loaded = await loaded_of(access, given)
    except TemplateError as error:
        lines = [str(problem) for problem in error.problems] or [str(error)]
        return TemplateValidationResponse(
            valid=False, errors=lines, warnings=[], required_capabilities=[], step_handlers=[]
        )
    warnings = [str(warning) for warning in loaded.warnings]
    return _validation(loaded.template, errors=[], warnings=warnings)


async def loaded_of(access: Access, given: GivenTemplate) -> Loaded:
    """Raises TemplateError."""
    text = given.template if isinstance(given.template, str) else orjson.dumps(given.template).decode()
    environment = given.environment or access.engine.settings.env
    return await asyncio.to_thread(load_text, text, name="template", environment=environment)


def _validation(template: Template, *, errors: list[str], warnings: list[str]) -> TemplateValidationResponse:
    return TemplateValidationResponse(
        valid=not errors,
        errors=errors,
        warnings=warnings,
        required_capabilities=sorted({step.queue or template.namespace for step in template.steps}),
        step_handlers=sorted({step.handler.key for step in template.steps}),
    )


@operation("templates:validate", Scope.NAMESPACE)
async def check_template(access: Access, given: OfVersion) -> TemplateValidationResponse:
    """Check that living workers serve every step of a published template"""
    _, template = await _published(access, given.namespace, given.name, given.version)
    stats = await access.engine.ask(lambda connection: access.engine.reads.stats(connection, count_max=1))
    served = {(c.queue, c.handler) for c in stats.channels if c.namespace == template.namespace and c.sessions}
    return _validation(template, errors=list(_unserved(template, served)), warnings=[])


def _unserved(template: Template, served: set[tuple[str, str]]) -> list[str]:
    wanted: Mapping[tuple[str, str], str] = {
        (step.queue or template.namespace, step.handler.key): step.name for step in template.steps
    }
    return [
        f'steps.{name}: no living worker serves the handler "{handler}" in the queue "{queue}"'
        for (queue, handler), name in wanted.items()
        if (queue, handler) not in served
    ]
