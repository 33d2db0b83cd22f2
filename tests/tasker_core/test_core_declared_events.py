"""What templates of existing applications declare of events."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasker.model.errors import TemplateError
from tasker_core.declared_events import load_with_events

TEXT = """\
name: t
namespace_name: n
version: 1.0.0
domain_events: [{name: a.done, schema: {type: object}}]
steps:
  - name: first
    handler: {callable: h}
    "publishes_events": [{name: a.done, condition: always}, b.done]
  - {name: second, handler: {callable: h}, publishes_events: [{name: c.done, delivery_mode: broadcast, publisher: P}]}
  - name: third
    handler: {callable: "publishes_events"}
    odd: 1
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "t.yaml"
    file.write_text(text)
    return file


def test_declarations_are_read_and_the_template_too(tmp_path: Path) -> None:
    """Whatever the style; a name alone is an event of success; the task's declarations lend their schemas."""
    loaded, events = load_with_events(written(tmp_path, TEXT), None)
    assert [step.handler.callable for step in loaded.template.steps] == ["h", "h", "publishes_events"]
    assert {name: [one.name for one in declared] for name, declared in events.items()} == {
        "first": ["a.done", "b.done"],
        "second": ["c.done"],
    }
    first, second = events["first"]
    assert (first.condition, first.schema, second.condition) == ("always", {"type": "object"}, "success")
    assert (events["second"][0].delivery_mode, events["second"][0].publisher) == ("broadcast", "P")
    assert [str(one).removeprefix(str(tmp_path)) for one in loaded.warnings] == [
        f"/t.yaml:12:5 steps[2].odd: {loaded.warnings[0].message}"
    ]


@pytest.mark.parametrize(
    ("written_as", "problem"),
    [
        ("{name: Paid}", "t.yaml:5:67: 'Paid' is not the name of an event"),
        ("{name: paid}", "is not the name of an event"),
        ("{name: a.b, condition: maybe}", "condition of a.b is 'maybe', and may be success, failure"),
        ("{name: a.b, delivery_mode: slow}", "delivery_mode of a.b is 'slow'"),
        ("{name: a.b, schema: {type: no-type}}", "schema of a.b: "),
        ("{name: a.b, schema: 1}", "schema of a.b is not a JSON Schema"),
        ("7", "expected a declaration of an event"),
    ],
)
def test_a_declaration_that_is_wrong_is_told_with_its_place(tmp_path: Path, written_as: str, problem: str) -> None:
    """And the template is refused."""
    text = (
        "name: t\nnamespace_name: n\nversion: 1.0.0\nsteps:\n"
        f"  - {{name: first, handler: {{callable: h}}, publishes_events: [     {written_as}]}}\n"
    )
    with pytest.raises(TemplateError) as caught:
        load_with_events(written(tmp_path, text), None)
    assert problem in str(caught.value)


def test_other_mistakes_keep_their_places(tmp_path: Path) -> None:
    """As if the events were not there."""
    text = TEXT.replace("name: second,", "name: second, timeout_seconds: none,")
    with pytest.raises(TemplateError, match=r"t\.yaml:9:\d+ steps\[1\]\.timeout_seconds"):
        load_with_events(written(tmp_path, text), None)


def test_the_engines_own_templates_follow_the_engines_grammar(tmp_path: Path) -> None:
    """The engine publishes their events itself, through its outbox; nothing of them is left to this package."""
    text = "tasker: 1\n" + TEXT.replace("    odd: 1\n", "").replace("domain_events:", "# domain_events:")
    loaded, events = load_with_events(written(tmp_path, text), None)
    assert events == {} and [event.name for event in loaded.template.steps[0].publishes_events] == ["a.done", "b.done"]
    with pytest.raises(TemplateError, match="domain_events"):
        load_with_events(written(tmp_path, f"tasker: 1\n{TEXT}"), None)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (TEXT.encode().replace(b"odd", b"\xff"), "is not UTF-8"),
        (TEXT.replace("namespace_name: n\n", "namespace_name: n # \u2028\u2028\u2028\u2028\u2028\n").encode(), None),
    ],
)
def test_odd_files_are_refused_or_read_and_nothing_between(tmp_path: Path, content: bytes, problem: str | None) -> None:
    """Whatever ends lines in them."""
    file = tmp_path / "t.yaml"
    file.write_bytes(content)
    try:
        loaded, events = load_with_events(file, None)
    except TemplateError as error:
        assert problem is None or problem in str(error)
    else:
        assert problem is None and len(loaded.template.steps) == 3 and set(events) == {"first", "second"}
