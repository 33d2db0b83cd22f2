"""YAML that an enemy wrote is refused with its place, before it has cost anything."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest
from template_texts import LAUGHS, step, with_steps

from tasker.model.errors import TemplateError
from tasker.templates import load_text, yaml_reader
from tasker.templates.yaml_reader import DEPTH_MAX, EXPANDED_MAX, FILE_MAX_BYTES, NODES_MAX

LONG_LAUGHS = f"a: &a '{'x' * 500_000}'\nb: [{', '.join(['*a'] * 20)}]\n"
MERGED_LAUGHS = "a: &a {k: &k [x, x, x, x, x, x, x, x]}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
STACKED = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100))

HOSTILE = {
    "billion laughs": (LAUGHS, "7:16 g[2]: with its aliases written out the document would be too large"),
    "long texts": (LONG_LAUGHS, "2:33 b[7]: with its aliases written out the document would be too large"),
    "merged laughs": (MERGED_LAUGHS, "with its aliases written out the document would be too large"),
    "depth": ("[" * 100_000, f"1:51 {'[0]' * 50}: the document is nested more than {DEPTH_MAX} levels deep"),
    "depth of mappings": ("{a: " * 100_000, f"the document is nested more than {DEPTH_MAX} levels deep"),
    "depth of blocks": ("- " * 100_000, f"the document is nested more than {DEPTH_MAX} levels deep"),
    "depth of aliases": (STACKED, f"49:12 a48[0]: the document is nested more than {DEPTH_MAX} levels deep"),
    "self-reference": ("a: &a [1, *a]", '1:11 a[1]: the anchor "a" contains itself'),
    "self-reference in a mapping": ("a: &a {b: {c: *a}}", '1:15 a.b.c: the anchor "a" contains itself'),
    "self-reference in a merge": ("a: &a {<<: *a}", '1:12 a.<<: the anchor "a" contains itself'),
    "python object": (
        "a: !!python/object/apply:os.system [ls]",
        '1:4 a: the tag "tag:yaml.org,2002:python/object/apply:os.system" is not allowed',
    ),
    "own tag": ("a: !secret x", '1:4 a: the tag "!secret" is not allowed'),
    "tag without a name": ("a: ! x", '1:4 a: the tag "!" is not allowed'),
    "tag of a list": ("a: !!set [x]", '1:4 a: the tag "tag:yaml.org,2002:set" is not allowed'),
    "tag of a key": ("!!str a: x", '1:1: the tag "tag:yaml.org,2002:str" is not allowed'),
    "NUL": ("a: 1\nb: \x00", "2:4: the character U+0000 may not stand in YAML"),
    "bell": ("a: \x07", "1:4: the character U+0007 may not stand in YAML"),
    "half a surrogate": ("a: \ud800", "1:4: the character U+D800 may not stand in YAML"),
    "size": ("a: " + "x" * FILE_MAX_BYTES, "1:1: the text is larger than 1048576 bytes"),
    "unknown version of YAML": ("%YAML 2.0\n---\na: 1", "not valid YAML: found incompatible YAML document"),
    "escape past Unicode": ('a: "\\U00110000"', "not valid YAML after this place"),
    "colons": (":" * 100_000, "1:100000: not valid YAML: mapping values are not allowed here"),
    "too many numbers": ("a: [" + "9" * 10_000 + "]", "needs the key"),
}


@pytest.mark.parametrize(("text", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_yaml_is_refused_with_its_place(text: str, message: str) -> None:
    """Each is one TemplateError that names the place where it goes too far."""
    with pytest.raises(TemplateError) as caught:
        load_text(text)
    assert message in str(caught.value)


class _Counted:
    """Counts the events that are taken from the parser."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        events: Any = yaml_reader._events  # pyright: ignore[reportPrivateUsage]

        def counted(text: str, report: Any) -> Any:
            for event in events(text, report):
                self.count += 1
                yield event

        monkeypatch.setattr(yaml_reader, "_events", counted)


@pytest.mark.parametrize(("name", "events_max"), [("billion laughs", 90), ("depth", 60), ("self-reference", 10)])
def test_the_reading_stops_at_the_place(monkeypatch: pytest.MonkeyPatch, name: str, events_max: int) -> None:
    """What comes after the place is never read: the cost is that of the text before it."""
    counted = _Counted(monkeypatch)
    with pytest.raises(TemplateError):
        load_text(HOSTILE[name][0] + "\n" + "- x\n" * 10_000)
    assert counted.count <= events_max


def test_the_number_of_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of nothing but commas ends at the limit."""
    assert FILE_MAX_BYTES > 2 * NODES_MAX
    monkeypatch.setattr(yaml_reader, "NODES_MAX", 1_000)
    counted = _Counted(monkeypatch)
    with pytest.raises(TemplateError, match="1:1999 a\\[997\\]: the document has more than 1000 values"):
        load_text("a: [" + "x," * 10_000)
    assert counted.count < 1_010


def test_a_file_without_aliases_never_meets_the_limit_of_expansion() -> None:
    """Otherwise a legal file could be refused for what it does not do."""
    assert EXPANDED_MAX >= 4 * FILE_MAX_BYTES


def test_depth_just_within_the_limit_is_read() -> None:
    """The limit does not need the interpreter's recursion limit to be raised."""
    deep = "{a: " * (DEPTH_MAX - 5) + "1" + "}" * (DEPTH_MAX - 5)
    text = with_steps(f"- {{name: a, handler: {{callable: h, initialization: {deep}}}}}\n")
    assert load_text(text).template.step("a").handler.initialization
    with pytest.raises(TemplateError, match="levels deep"):
        load_text(text.replace(deep, f"{{a: {deep}}}"))


def test_reading_does_not_depend_on_the_stack_that_is_left() -> None:
    """The deepest document is read with a small recursion limit, in a thread with a small stack."""
    text = step("description: x")
    outcome: list[object] = []
    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=lambda: outcome.append(load_text(text)))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert outcome
    assert sys.getrecursionlimit() >= 1000


SCHEMAS = {
    "values": ("{enum: [" + "1, " * 30_000 + "]}", "the schemas of a template may have 20000 values together"),
    "a pattern too deep": ("{pattern: '" + "(" * 5_000 + ")" * 5_000 + "'}", "this JSON Schema cannot be checked"),
    "a pattern too long": ("{pattern: 'a{99999999999999}'}", "this JSON Schema cannot be checked"),
    "doubling": (
        "{$ref: '#/$defs/k0', $defs: {"
        + ", ".join(f"k{n}: {{allOf: [{{$ref: '#/$defs/k{n + 1}'}}, {{$ref: '#/$defs/k{n + 1}'}}]}}" for n in range(30))
        + ", k30: {}}}",
        "the schema refers to itself without end",
    ),
    "defaults without end": (
        "{properties: {a: {$ref: '#', default: {}}}}",
        "the schema refers to itself without end",
    ),
}


@pytest.mark.parametrize(("schema", "message"), SCHEMAS.values(), ids=SCHEMAS.keys())
def test_hostile_schemas_are_refused(schema: str, message: str) -> None:
    """A schema may not cost more than its size, nor escape with an error of another kind."""
    with pytest.raises(TemplateError, match=message):
        load_text(step("", top=f"input_schema: {schema}\n"))
