"""Properties of all templates, searched by Hypothesis. TASKER_TEST_SCALE=full searches much longer."""

from __future__ import annotations

import io
import json
import os
import time
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from template_texts import ENVIRONMENTS, FULL, LAUGHS, LOOSE_HEAD, OLDER, step

from tasker.model.errors import TemplateError
from tasker.model.template import HandlerRef, RetryPolicy, Step, Template
from tasker.templates import differences, digest, from_definition, load_text, to_definition
from tasker.templates.graph import ancestors, ancestors_of, children, find_cycle, levels, mermaid, tree

SCALE = 20 if os.environ.get("TASKER_TEST_SCALE") == "full" else 1
PRINTABLE = st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Zs", "Cn", "Co"))
WORDS = st.text(PRINTABLE, min_size=1, max_size=12)
NAMES = WORDS.filter(lambda name: name != "ALL")
IDENTIFIERS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,28}", fullmatch=True)
PROSE = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=30)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | PROSE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PROSE.filter(bool), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(PROSE.filter(bool), JSON, max_size=3)
SCHEMAS = st.none() | st.just({"type": "object", "properties": {"a": {"type": "string"}}})
RETRIES = st.builds(
    RetryPolicy,
    retryable=st.booleans(),
    max_attempts=st.integers(1, 100),
    backoff=st.sampled_from(["none", "linear", "exponential", "fibonacci"]),
    backoff_base_ms=st.integers(1, 3_600_000),
    max_backoff_ms=st.integers(1, 3_600_000),
    jitter=st.floats(0, 1),
)


@st.composite
def templates(draw: st.DrawFn) -> Template:
    """Any template: steps in any order, edges that point from earlier to later in a hidden order."""
    names = draw(st.lists(NAMES, min_size=1, max_size=12, unique=True))
    steps: list[Step] = []
    for position, name in enumerate(names):
        parents = draw(st.lists(st.sampled_from(names[:position]), unique=True, max_size=4)) if position else []
        steps.append(
            Step(
                name=name,
                handler=HandlerRef(callable=draw(WORDS), initialization=draw(OBJECTS)),
                description=draw(st.none() | PROSE),
                dependencies=tuple(parents),
                retry=draw(RETRIES),
                timeout_seconds=draw(st.none() | st.floats(0.001, 31_536_000)),
                queue=draw(st.none() | IDENTIFIERS),
                system_dependency=draw(st.none() | PROSE),
                result_schema=draw(SCHEMAS),
            )
        )
    return Template(
        namespace=draw(IDENTIFIERS),
        name=draw(WORDS),
        version=draw(WORDS),
        steps=tuple(draw(st.permutations(steps))),
        description=draw(st.none() | PROSE),
        metadata=draw(OBJECTS),
        system_dependencies=draw(OBJECTS),
        input_schema=draw(SCHEMAS),
        enforce_schemas=draw(st.booleans()),
        identity_strategy=draw(st.sampled_from(["always_unique", "strict", "caller_provided"])),
    )


def yaml_of(value: Any) -> str | None:
    """The value as another program writes it; None where that program cannot read its own writing."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(value, stream)
    text = stream.getvalue()
    try:
        return text if YAML(typ="safe", pure=True).load(text) == value and "!!" not in text else None
    except (YAMLError, ValueError):
        return None


@settings(max_examples=30 * SCALE, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(templates())
def test_a_template_survives_definition_json_and_yaml(template: Template) -> None:
    """Rebuilt from its definition, read from JSON, read from YAML: the same template with the same digest."""
    definition = to_definition(template)
    for again in (from_definition(definition), from_definition(json.loads(json.dumps(definition)))):
        assert again == template
        assert digest(again) == digest(template)
    loaded = load_text(json.dumps(definition))
    assert loaded.template == template
    assert loaded.warnings == ()
    assert digest(loaded.template) == digest(template)


@settings(max_examples=20 * SCALE, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(templates())
def test_a_template_survives_another_emitter(template: Template) -> None:
    """What another program writes as YAML is read as it was meant."""
    text = yaml_of(to_definition(template))
    assume(text is not None)
    assert load_text(text or "").template.steps == template.steps


@settings(max_examples=30 * SCALE, deadline=None)
@given(templates())
def test_the_graph_respects_its_edges(template: Template) -> None:
    """Levels hold every step once, each just below its deepest parent; relatives agree with the edges."""
    found = levels(template)
    level = {name: index for index, names in enumerate(found) for name in names}
    assert sorted(name for names in found for name in names) == sorted(each.name for each in template.steps)
    above = ancestors(template)
    below = children(template)
    for each in template.steps:
        assert level[each.name] == max((level[parent] + 1 for parent in each.dependencies), default=0)
        union = set(each.dependencies).union(*(above[parent] for parent in each.dependencies))
        assert set(above[each.name]) == union
        assert ancestors_of(template, each.name) == above[each.name]
        assert all(each.name in below[parent] for parent in each.dependencies)
    assert sum(map(len, below.values())) == sum(len(each.dependencies) for each in template.steps)
    assert find_cycle({each.name: each.dependencies for each in template.steps}) is None
    assert mermaid(template).count("-->") == sum(map(len, below.values()))
    assert len(tree(template).splitlines()) == 1 + len(found) + len(template.steps)


@settings(max_examples=30 * SCALE, deadline=None)
@given(st.dictionaries(st.integers(0, 9), st.lists(st.integers(0, 9), max_size=3), max_size=10))
def test_a_cycle_is_a_cycle_and_a_graph_without_one_has_levels(edges: dict[int, list[int]]) -> None:
    """What find_cycle names is a closed way along the edges, and it names one exactly when the template is refused."""
    names = sorted(edges)
    graph = {f"s{name}": [f"s{parent}" for parent in edges[name] if parent in edges] for name in names}
    cycle = find_cycle(graph)
    if cycle is not None:
        assert cycle[0] == cycle[-1]
        assert all(before in graph[after] for before, after in pairwise(cycle))
        assert len(set(cycle)) == len(cycle) - 1
    if not names:
        return
    steps = [{"name": name, "handler": "h", "dependencies": list(dict.fromkeys(graph[name]))} for name in graph]
    text = json.dumps({"tasker": 1, "namespace_name": "n", "name": "t", "version": "1", "steps": steps})
    try:
        load_text(text)
        assert cycle is None
    except TemplateError:
        assert cycle is not None


@settings(max_examples=30 * SCALE, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(templates(), templates())
def test_differences_are_empty_exactly_for_equal_content(old: Template, new: Template) -> None:
    """A digest differs if and only if there is a difference to tell."""
    assert differences(to_definition(old), to_definition(old)) == []
    lines = differences(to_definition(old), to_definition(new))
    assert bool(lines) == (digest(old) != digest(new))


def _loads_or_tells(text: str) -> None:
    started = time.process_time()
    try:
        load_text(text)
    except TemplateError as error:
        assert error.problems
        lines = text.count("\n") + 2
        assert all(problem.line <= lines for problem in error.problems)
        assert all("\n" not in str(problem) for problem in error.problems)
    assert time.process_time() - started < 10


YAMLISH = st.text(st.sampled_from("ab01 :-?&*!|>'\"%@`{}[],#\n\t.~<=\\xu_/+\x85\u2028\ufeff"), max_size=60)


@settings(max_examples=150 * SCALE, deadline=None)
@given(YAMLISH | st.text(max_size=60))
@example("? ? ? a")
@example("%TAG ! !\n--- !a")
@example("'\\\n")
@example("- - -\n - -\n- a: b: c")
def test_garbage_is_a_template_error(text: str) -> None:
    """Whatever the text, it loads or it is told; no other error leaves, and it takes no time."""
    _loads_or_tells(text)


SEEDS = [FULL, OLDER, ENVIRONMENTS, step("retry: {limit: 3}", LOOSE_HEAD), LAUGHS]


@settings(max_examples=120 * SCALE, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_a_damaged_template_is_a_template_or_a_template_error(text: str, data: st.DataObject) -> None:
    """A piece cut out, doubled or replaced in a good file."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 30)))
    piece = data.draw(st.sampled_from(["", text[start:end] * 2]) | YAMLISH)
    _loads_or_tells(text[:start] + piece + text[end:])


@settings(max_examples=80 * SCALE, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_value_of_any_shape_under_any_key_is_told(data: st.DataObject) -> None:
    """Every key of a template is given anything: it loads or it is told."""
    definition = to_definition(load_text(FULL).template)
    definition["environments"] = {"test": {"steps": [{"name": "check", "retry": {}}]}}
    target: Any = definition
    for _ in range(data.draw(st.integers(0, 4))):
        inner = [
            each for each in (target.values() if isinstance(target, dict) else target) if isinstance(each, dict | list)
        ]
        inner = [each for each in inner if each]
        if not inner:
            break
        target = data.draw(st.sampled_from(inner))
    key = data.draw(st.sampled_from(sorted(target) if isinstance(target, dict) else range(len(target))))
    target[key] = data.draw(JSON)
    if data.draw(st.booleans()):
        del definition["tasker"]
    _loads_or_tells(json.dumps(definition))
