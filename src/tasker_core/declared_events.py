"""Templates with `publishes_events`, in files without `tasker: 1`: this package publishes their events in its process,
as it always did, with all that its publishers are told of an execution; the engine would do so through its outbox.

What they declare is read here, and the engine's reader gets the text with the key out of its sight: spelt in capitals,
so that every other message keeps its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from tasker.model.template import Template
from tasker.templates import load_file, load_text
from tasker.templates.document import Entry, ListNode, MapNode, Node, plain
from tasker.templates.loading import Loaded
from tasker.templates.report import Report
from tasker.templates.schemas import schema_problems
from tasker.templates.yaml_reader import read_document
from tasker_core.domain_events.declaration import CONDITIONS, DELIVERY_MODES, EventDeclaration

STEP_KEY, TEMPLATE_KEY = "publishes_events", "domain_events"
_NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
Events = dict[str, tuple[EventDeclaration, ...]]
"""By the names of the steps."""
Declared = dict[tuple[str, str], tuple[EventDeclaration, ...]]
"""By the template (`namespace/name@version`) and the name of the step."""


def load_with_events(file: Path, environment: str | None) -> tuple[Loaded, Events]:
    """A template, and the events that its steps declare. Raises TemplateError.

    In files with `tasker: 1` the engine's grammar alone counts.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = ""  # the engine's reader says what is wrong, and where
    if STEP_KEY not in text and TEMPLATE_KEY not in text:
        return load_file(file, environment=environment), {}
    report = Report(str(file))
    root = read_document(text, report)
    if "tasker" in root.entries:
        return load_file(file, environment=environment), {}
    events = _declared(root, report)
    report.close()
    loaded = load_text(_hidden(text, root), name=str(file), environment=environment)
    warnings = tuple(one for one in loaded.warnings if not one.path.endswith((STEP_KEY.upper(), TEMPLATE_KEY.upper())))
    return Loaded(loaded.template, warnings, loaded.source), events


def by_step(template: Template, events: Events) -> Declared:
    """The same by template and step."""
    return {(template.full_name, step): declared for step, declared in events.items()}


def _steps(root: MapNode) -> list[MapNode]:
    steps = root.get("steps")
    return [one for one in steps.items if isinstance(one, MapNode)] if isinstance(steps, ListNode) else []


def _keys(root: MapNode) -> Iterator[Entry]:
    if TEMPLATE_KEY in root.entries:
        yield root.entries[TEMPLATE_KEY]
    for step in _steps(root):
        if STEP_KEY in step.entries:
            yield step.entries[STEP_KEY]


def _hidden(text: str, root: MapNode) -> str:
    lines = text.split("\n")
    for place in {entry.key for entry in _keys(root)}:
        if place.line > len(lines):
            continue  # YAML knows more ends of lines than this; the key stays in sight, and is refused
        line, start = lines[place.line - 1], place.column - 1
        end = start + max(len(STEP_KEY), len(TEMPLATE_KEY)) + 2
        hidden = re.sub(f"{STEP_KEY}|{TEMPLATE_KEY}", lambda match: match[0].upper(), line[start:end], count=1)
        lines[place.line - 1] = line[:start] + hidden + line[end:]
    return "\n".join(lines)


def _declared(root: MapNode, report: Report) -> Events:
    schemas = {one["name"]: one.get("schema") for _, one in _items(root.get(TEMPLATE_KEY), report)}
    found: Events = {}
    for step in _steps(root):
        declared = [
            EventDeclaration.from_dict({**one, "schema": one.get("schema") or schemas.get(one["name"])})
            for _, one in _items(step.get(STEP_KEY), report)
        ]
        name = step.get("name")
        if declared and name is not None:
            found[str(plain(name))] = tuple(declared)
    return found


def _items(node: Node | None, report: Report) -> Iterator[tuple[Node, dict[str, Any]]]:
    """The valid declarations of a list; the others are told."""
    for item in node.items if isinstance(node, ListNode) else ():
        said: Any = plain(item)
        said = {"name": said} if isinstance(said, str) else said
        problem = _problem(said)
        if problem is None:
            yield item, cast("dict[str, Any]", said)
        else:
            report.error(item.place, problem)


def _problem(said: Any) -> str | None:
    if not isinstance(said, dict):
        return "expected a declaration of an event: a mapping with name, condition, delivery_mode, publisher, schema"
    known = cast("dict[str, Any]", said)
    name, schema = known.get("name"), known.get("schema")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"{name!r} is not the name of an event: small letters, digits, underscores and dots, such as order.paid"
    for key, words in (("condition", CONDITIONS), ("delivery_mode", DELIVERY_MODES)):
        if known.get(key) not in (None, *words):
            return f"{key} of {name} is {known[key]!r}, and may be {', '.join(words)}"
    if schema is None:
        return None
    if not isinstance(schema, dict):
        return f"schema of {name} is not a JSON Schema"
    problems = schema_problems(cast("dict[str, Any]", schema))
    return f"schema of {name}: {problems[0][1]}" if problems else None
