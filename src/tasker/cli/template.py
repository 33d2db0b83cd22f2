"""`tasker template validate|publish|list|show|graph`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import Output, Where, flag, many, template_name
from tasker.cli.database import read_settings
from tasker.cli.doors import Door, with_door
from tasker.cli.show import print_json, print_line, print_table, time
from tasker.model.template import Template
from tasker.templates import Loaded, from_definition, load_file, load_paths, to_definition
from tasker.templates import graph as graphs

Paths = Annotated[list[str], Parameter(help="Files, folders or globs.")]
Environment = Annotated[
    str | None, Parameter(help="Which `environments` block of the files applies; else TASKER_ENV says.")
]


def validate(
    paths: Paths,
    /,
    *,
    handlers: Annotated[list[str] | None, many("Modules in which every handler has to be.")] = None,
    environment: Environment = None,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Checks template files; writes nothing."""
    loaded = _load(paths, environment)
    if handlers:
        _check_handlers(loaded, handlers)
    if output.json:
        print_json({"templates": [_checked(one) for one in loaded]})
        return exits.OK
    for one in loaded:
        print_line(f"{one.source}: {one.template.full_name}, {len(one.template.steps)} steps, is valid")
        for warning in one.warnings:
            print_line(f"  warning: {warning}", style="yellow")
    return exits.OK


def _load(paths: list[str], environment: str | None) -> tuple[Loaded, ...]:
    return load_paths(paths, environment=environment or read_settings().env)


def _check_handlers(loaded: tuple[Loaded, ...], modules: list[str]) -> None:
    from tasker.handlers import discover
    from tasker.worker.plans import check_handlers

    sys.path.insert(0, str(Path.cwd()))
    known = discover(modules)
    for one in loaded:
        check_handlers(one.template, known)


def _checked(one: Loaded) -> dict[str, Any]:
    template = one.template
    return {
        "file": one.source,
        "namespace": template.namespace,
        "name": template.name,
        "version": template.version,
        "steps": len(template.steps),
        "warnings": [asdict(warning) for warning in one.warnings],
    }


def publish(
    paths: Paths,
    /,
    *,
    force: Annotated[bool, flag("Publish changed content under the same version, as a new revision.")] = False,
    environment: Environment = None,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Publishes template files: all, or none."""
    loaded = sorted(_load(paths, environment), key=lambda one: one.template.full_name)

    templates = [one.template for one in loaded]

    async def work(door: Door) -> Sequence[tuple[int, bool]]:
        return await door.publish(templates, force=force)

    done = list(zip(templates, with_door(common, work), strict=True))
    if common.json:
        print_json({"templates": [_published(one, number, is_new=is_new) for one, (number, is_new) in done]})
        return exits.OK
    for one, (_, is_new) in done:
        print_line(f"{one.full_name} {'is published' if is_new else 'was published already'}")
    return exits.OK


def _published(template: Template, template_id: int, *, is_new: bool) -> dict[str, Any]:
    return {
        "namespace": template.namespace,
        "name": template.name,
        "version": template.version,
        "template_id": template_id,
        "is_new": is_new,
    }


def list_templates(
    *,
    namespace: Annotated[str | None, Parameter(help="Only of this namespace.")] = None,
    name: Annotated[str | None, Parameter(help="Only of this name.")] = None,
    every: Annotated[
        bool, Parameter(name="--all", negative=(), show_default=False, help="Older versions too.")
    ] = False,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Lists published templates."""

    async def work(door: Door) -> int:
        found = await door.templates(namespace=namespace, name=name, only_newest=not every)
        if common.json:
            print_json({"templates": found})
            return exits.OK
        rows = [(f"{t.namespace}/{t.name}", t.version, t.revision, t.step_count, time(t.published_at)) for t in found]
        columns = ("template", "version", "revision", "steps", "published")
        print_table(columns, rows, empty="no templates: publish some with `tasker template publish FILES`")
        return exits.OK

    return with_door(common, work)


Reference = Annotated[str, Parameter(help="namespace/name, or namespace/name@version.")]


def show(template: Reference, /, *, common: Where = Where()) -> int:  # noqa: B008
    """Prints a published template."""

    async def work(door: Door) -> int:
        found = await door.template(*template_name(template))
        if common.json:
            print_json(found)
        else:
            _print_yaml(to_definition(from_definition(dict(found.definition))))
        return exits.OK

    return with_door(common, work)


def _print_yaml(definition: dict[str, Any]) -> None:
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt")
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 120
    dump: Any = yaml.dump  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    dump(_without_nulls(definition), sys.stdout)


def _without_nulls(value: Any) -> Any:
    """The same, without keys that say nothing."""
    if isinstance(value, dict):
        known = cast("dict[str, Any]", value)
        return {key: _without_nulls(inner) for key, inner in known.items() if inner is not None and inner != {}}
    return [_without_nulls(inner) for inner in cast("list[Any]", value)] if isinstance(value, list) else value


def graph(
    template: Annotated[str, Parameter(help="A file, or namespace/name[@version] of a published one.")],
    /,
    *,
    mermaid: Annotated[bool, flag("As a Mermaid flowchart.")] = False,
    environment: Environment = None,
    common: Where = Where(),  # noqa: B008
) -> int:
    """Draws the graph of a template: its levels as a tree, or a flowchart."""

    async def work(door: Door) -> Template:
        found = await door.template(*template_name(template))
        return from_definition(dict(found.definition))

    if Path(template).is_file():
        found = load_file(template, environment=environment or read_settings().env).template
    else:
        found = with_door(common, work)
    if common.json:
        edges = [[parent, step.name] for step in found.steps for parent in step.dependencies]
        print_json({"template": found.full_name, "levels": graphs.levels(found), "edges": edges})
    else:
        print(graphs.mermaid(found) if mermaid else graphs.tree(found), end="")
    return exits.OK
