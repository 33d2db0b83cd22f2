"""Holds a document against the grammar and gives its values with the defaults filled in.

A value that is wrong is told and left out, so that the reading goes on and several problems are told at once.
"""

from __future__ import annotations

import copy
import re
from typing import Any, Final

from tasker.templates.document import (
    Entry,
    ListNode,
    MapNode,
    Node,
    ScalarNode,
    Spot,
    is_empty,
    is_nothing,
    kind_of,
    plain,
    shorten,
    shown,
    size,
)
from tasker.templates.grammar import GRAMMAR_VERSION
from tasker.templates.kinds import (
    Absent,
    Choice,
    Flag,
    Free,
    GrammarVersion,
    JsonSchema,
    Key,
    Kind,
    ListOf,
    MapOf,
    Number,
    Record,
    Text,
    Whole,
)
from tasker.templates.report import Report, did_you_mean

SCHEMA_VALUES_MAX = 20_000
"""In all schemas of a template together: checking them costs a tenth of a millisecond for each value."""
WRONG: Final = object()
"""What stands for a value that was told as a problem."""


class Checker:
    """Checks one document. `spots` says afterwards where each path of the grammar is."""

    def __init__(self, report: Report, *, is_strict: bool) -> None:
        self._report = report
        self._is_strict = is_strict
        self._schema_values = 0
        self.spots: dict[str, Spot] = {}

    def check(self, kind: Kind, node: Node, spot: Spot) -> Any:
        """The value of a node as JSON, or WRONG."""
        self.spots[spot.path] = spot
        if isinstance(kind, Record):
            return self._record(kind, node, spot)
        if isinstance(kind, ListOf):
            return self._list(kind, node, spot)
        if isinstance(kind, MapOf | Free | JsonSchema):
            return self._mapping(kind, node, spot)
        return self._scalar(kind, node, spot)

    def _record(self, record: Record, node: Node, spot: Spot) -> Any:
        if record.short and isinstance(node, ScalarNode) and isinstance(node.value, str):
            node = MapNode({record.short: Entry(node.place, node, written="")}, node.place)
        if not isinstance(node, MapNode):
            return self._wrong(spot, f"expected {wanted(record)}, not {kind_of(node)}")
        entries = self._known_entries(record, node, spot)
        values: dict[str, Any] = {}
        for key in record.keys:
            entry = entries.get(key.name)
            if entry is None or self._counts_as_absent(key, entry.node):
                self._fill(key, entry, values, record, spot)
                continue
            value = self.check(key.kind, entry.node, spot.key(key.name, entry))
            if value is not WRONG:
                values[key.name] = value
        return values

    def _counts_as_absent(self, key: Key, node: Node) -> bool:
        return is_nothing(node) and (key.default is None or not self._is_strict)

    def _fill(self, key: Key, entry: Entry | None, values: dict[str, Any], record: Record, spot: Spot) -> None:
        """A key that the file does not have."""
        if key.is_required:
            place = spot.key(key.name, entry) if entry else spot
            noun = "it" if entry else f"the key {shown(key.name)}"
            self._report.error(place, f"{record.noun} needs {noun}: {wanted(key.kind)}")
            return
        default = default_of(key, is_strict=self._is_strict)
        if default is not Absent.ABSENT:
            values[key.name] = default

    def _known_entries(self, record: Record, node: MapNode, spot: Spot) -> dict[str, Entry]:
        """The entries under the names of the grammar; what has no place in it is told."""
        names = {key.name: key.name for key in record.keys} | {key.alias: key.name for key in record.keys if key.alias}
        found: dict[str, Entry] = {}
        for written, entry in node.entries.items():
            name = names.get(written) or self._older_name(record, written, entry, spot)
            if name is None:
                self._unknown_key(record, written, entry, spot)
            elif name in found:
                self._twice(name, written, entry, spot)
            else:
                found[name] = entry if name == written else Entry(entry.key, entry.node, entry.written or written)
        return found

    def _older_name(self, record: Record, written: str, entry: Entry, spot: Spot) -> str | None:
        if self._is_strict or written not in record.renamed:
            return None
        name = record.renamed[written]
        self._report.warn(_key_spot(spot, written, entry), f"is read as {shown(name)}: write it so")
        return name

    def _twice(self, name: str, written: str, entry: Entry, spot: Spot) -> None:
        self._report.error(
            _key_spot(spot, written, entry), f"{shown(name)} is said twice, under two names: remove one of them"
        )

    def _unknown_key(self, record: Record, written: str, entry: Entry, spot: Spot) -> None:
        place = _key_spot(spot, written, entry)
        if written in record.later:
            if self._is_strict or not is_empty(entry.node):
                self._report.error(place, f"{shown(written)} is not supported by this version of Tasker: remove it")
            return
        hint = _right_name(record, written)
        if record.is_closed:
            if self._is_strict or not is_nothing(entry.node):
                message = f"{shown(written)} is not supported in {record.noun} by this version of Tasker{hint}"
                self._report.error(place, message)
        elif self._is_strict:
            self._report.error(place, f"{shown(written)} is not a key of {record.noun}{hint}")
        else:
            self._report.warn(place, f"{shown(written)} is not a key of {record.noun} and has no effect{hint}")

    def _list(self, kind: ListOf, node: Node, spot: Spot) -> Any:
        if not isinstance(node, ListNode):
            hint = f": write [{shorten(node.text)}]" if isinstance(node, ScalarNode) and node.text else ""
            return self._wrong(spot, f"expected a list of {kind.noun}, not {kind_of(node)}{hint}")
        if len(node.items) < kind.at_least:
            return self._wrong(spot, f"the list is empty: it needs at least {kind.at_least} item")
        if len(node.items) > kind.at_most:
            return self._wrong(spot, f"{len(node.items)} {kind.noun} are too many: at most {kind.at_most} are allowed")
        return [self.check(kind.item, item, spot.item(index, item)) for index, item in enumerate(node.items)]

    def _mapping(self, kind: MapOf | Free | JsonSchema, node: Node, spot: Spot) -> Any:
        if isinstance(kind, Free) and is_nothing(node):
            return {}
        if not isinstance(node, MapNode):
            return self._wrong(spot, f"expected {wanted(kind)}, not {kind_of(node)}")
        if isinstance(kind, MapOf):
            checked = {
                name: self.check(kind.item, entry.node, spot.key(name, entry))
                for name, entry in node.entries.items()
                if self._is_strict or not is_nothing(entry.node)
            }
            return {name: value for name, value in checked.items() if value is not WRONG}
        return self._schema(node, spot) if isinstance(kind, JsonSchema) else plain(node)

    def _schema(self, node: MapNode, spot: Spot) -> Any:
        # Imported here because jsonschema takes a fifth of a second, and many templates have no schema.
        from tasker.templates.schemas import schema_problems

        self._schema_values += size(node)
        if self._schema_values > SCHEMA_VALUES_MAX:
            message = f"the schemas of a template may have {SCHEMA_VALUES_MAX} values together, and here are more"
            return self._wrong(spot, message)
        schema = plain(node)
        assert isinstance(schema, dict)  # noqa: S101 - a mapping's plain form
        problems = schema_problems(schema)
        for path, message in problems:
            self._report.error(_spot_below(node, spot, path), message)
        return WRONG if problems else schema

    def _scalar(self, kind: Kind, node: Node, spot: Spot) -> Any:
        message = _complaint(kind, node)
        if message is None:
            assert isinstance(node, ScalarNode)  # noqa: S101 - _complaint says so of anything else
            return node.value
        return self._wrong(spot, message)

    def _wrong(self, spot: Spot, message: str) -> Any:
        self._report.error(spot, message)
        return WRONG


def default_of(key: Key, *, is_strict: bool) -> Any:
    """The default of a key, filled in all the way down; ABSENT where it has none."""
    default = key.default if is_strict or key.loose_default is Absent.ABSENT else key.loose_default
    if isinstance(key.kind, Record) and default == {}:
        return {inner.name: default_of(inner, is_strict=is_strict) for inner in key.kind.keys}
    return copy.deepcopy(default)


def _key_spot(spot: Spot, written: str, entry: Entry) -> Spot:
    inner = spot.key(written, entry)
    return Spot(inner.path, inner.written, entry.key)


def _right_name(record: Record, written: str) -> str:
    if written in record.misnamed or written in record.renamed:
        return f"; write {shown((record.misnamed | record.renamed)[written])}"
    names = [key.name for key in record.keys]
    return did_you_mean(written, names) or f": its keys are {', '.join(names)}"


def _spot_below(node: Node, spot: Spot, path: tuple[str | int, ...]) -> Spot:
    """The spot of what lies at a path inside a free value, or of the nearest thing above it."""
    for step in path:
        if isinstance(node, MapNode) and isinstance(step, str) and step in node.entries:
            entry = node.entries[step]
            node, spot = entry.node, spot.key(step, entry)
        elif isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            spot = spot.item(step, node)
        else:
            break
    return spot


def wanted(kind: Kind) -> str:
    """What a value of this kind looks like, in words."""
    match kind:
        case Text():
            rule = f" ({kind.rule})" if kind.rule != Text().rule else ""
            return f"text of {kind.at_least} to {kind.at_most} characters{rule}"
        case Whole():
            return f"a whole number from {kind.at_least} to {kind.at_most}"
        case Number():
            lower = f"above {kind.above:g}" if kind.above is not None else f"of at least {kind.at_least or 0:g}"
            return f"a number {lower} and at most {kind.at_most:.0f}"
        case Flag():
            return "true or false"
        case Choice():
            return " or ".join(kind.words)
        case GrammarVersion():
            return f"{GRAMMAR_VERSION}, the grammar that this version of Tasker reads"
        case ListOf():
            return f"a list of {kind.noun}"
        case Record():
            return f"text, or {kind.noun} with its keys" if kind.short else f"{kind.noun} with its keys"
        case JsonSchema():
            return "a JSON Schema"
        case Free() | MapOf():
            return "a mapping"


def _complaint(kind: Kind, node: Node) -> str | None:
    """What is wrong with a single value, None where nothing is."""
    if not isinstance(node, ScalarNode):
        return f"expected {wanted(kind)}, not {kind_of(node)}"
    value = node.value
    match kind:
        case Text():
            return _text_complaint(kind, node)
        case Whole() if isinstance(value, int) and not isinstance(value, bool):
            is_right = kind.at_least <= value <= kind.at_most
        case Number() if isinstance(value, int | float) and not isinstance(value, bool):
            is_above = value > kind.above if kind.above is not None else value >= (kind.at_least or 0)
            is_right = is_above and value <= kind.at_most
        case Flag() if isinstance(value, bool):
            is_right = True
        case Choice() if isinstance(value, str):
            return _choice_complaint(kind, value)
        case GrammarVersion() if value == GRAMMAR_VERSION and isinstance(value, int):
            is_right = not isinstance(value, bool)
        case _:
            is_right = False
    return None if is_right else f"expected {wanted(kind)}, not {kind_of(node)}"


def _text_complaint(kind: Text, node: ScalarNode) -> str | None:
    if not isinstance(node.value, str):
        if node.value is None:
            return "expected text, and nothing stands here"
        kind_read = "a truth value" if isinstance(node.value, bool) else "a number"
        return f'expected text, and {shorten(node.text)} is read as {kind_read}: write "{shorten(node.text)}"'
    if not kind.at_least <= len(node.value) <= kind.at_most:
        return f"{shown(node.value)} has {len(node.value)} characters: {kind.at_least} to {kind.at_most} are allowed"
    if kind.pattern and not re.fullmatch(kind.pattern, node.value):
        return f"{shown(node.value)} is not allowed here: it must be {kind.rule}"
    return None


def _choice_complaint(kind: Choice, word: str) -> str | None:
    if word in kind.words:
        return None
    return f"{shown(word)} is not one of {', '.join(kind.words)}{did_you_mean(word, kind.words)}"
