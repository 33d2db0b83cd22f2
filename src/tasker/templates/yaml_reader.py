"""YAML text to a tree with places, safe for text that an enemy wrote.

A parser that builds values loses the places and expands aliases: nine lines that refer to each other become a billion
values. This reader takes the parser's events one by one and stops at the first that goes too far: the depth, the
number of nodes, the size that the document would have with every alias written out (known the moment an alias is
read), an anchor inside itself, a tag. It costs no more than reading the text up to that point.

Scalars are read as YAML 1.2 reads them, so `yes`, `on` and `2024-01-01` are text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from tasker.templates.document import Entry, ListNode, MapNode, Node, Place, ScalarNode, Spot, shorten, shown
from tasker.templates.report import Report

FILE_MAX_BYTES = 1 << 20
DEPTH_MAX = 50
NODES_MAX = 200_000
EXPANDED_MAX = 4 << 20
"""Characters and nodes together, with every alias written out. Four times what a file without aliases can hold."""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NUMBER_LENGTH_MAX = 400
_PARSER_SLIPS = (ValueError, ArithmeticError, LookupError, AttributeError, TypeError, AssertionError, RecursionError)
"""What the parser lets out on text that is far from YAML, for instance on an escape past the end of Unicode."""


def read_document(text: str, report: Report) -> MapNode:
    """The one mapping that the text holds. Raises TemplateError for anything else, with its place."""
    if len(text) > FILE_MAX_BYTES:
        report.stop(Place(1, 1), f"the text is larger than {FILE_MAX_BYTES} bytes: split it into several templates")
    forbidden = _FORBIDDEN.search(text, 1 if text.startswith("\ufeff") else 0)
    if forbidden:
        _refuse_character(text, forbidden, report)
    root = _Composer(_events(text, report), report).document()
    if not isinstance(root, MapNode):
        report.stop(root.place, 'a template is a mapping with keys such as "name" and "steps", not a list or a value')
    return root


def _refuse_character(text: str, found: re.Match[str], report: Report) -> NoReturn:
    line_start = text.rfind("\n", 0, found.start()) + 1
    place = Place(text.count("\n", 0, found.start()) + 1, found.start() - line_start + 1)
    report.stop(place, f"the character U+{ord(found.group()):04X} may not stand in YAML: remove it")


def _events(text: str, report: Report) -> Iterator[Any]:
    # Imported here because it takes a tenth of a second, and whoever never reads a template need not wait for it.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    parser: Any = YAML(typ="safe", pure=True)
    place = Place(1, 1)
    try:
        for event in parser.parse(text):
            place = _place(event.start_mark)
            yield event
    except MarkedYAMLError as error:
        faulty: Any = error
        mark = faulty.problem_mark or faulty.context_mark
        report.stop(_place(mark) if mark else place, _syntax_message(faulty.problem, faulty.context))
    except _PARSER_SLIPS as error:
        report.stop(place, f"not valid YAML after this place: {shorten(str(error), 120)}")


def _syntax_message(problem: str | None, context: str | None) -> str:
    words = "; ".join(part for part in (problem, context) if part)
    hint = ": indent with spaces, not with tabs" if "'\\t'" in words else ""
    return f"not valid YAML: {shorten(words, 200)}{hint}"


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


class _Composer:
    """Builds the tree. `_weight` is the size so far with aliases written out."""

    def __init__(self, events: Iterator[Any], report: Report) -> None:
        self._events = events
        self._report = report
        self._anchors: dict[str, tuple[Node, int, int] | None] = {}
        self._weight = 0
        self._nodes = 0
        self._path: list[str | int] = []
        self._kinds: dict[str, Callable[[Any, int], tuple[Node, int]]] = {
            "ScalarEvent": self._scalar,
            "SequenceStartEvent": self._sequence,
            "MappingStartEvent": self._mapping,
        }

    def document(self) -> Node:
        """The only document of the stream."""
        next(self._events)
        start = next(self._events)
        if _name(start) != "DocumentStartEvent":
            self._stop(Place(1, 1), "there is nothing in it: a template starts with `tasker: 1` and its name")
        root, _ = self._node(next(self._events), 1)
        next(self._events)
        after = next(self._events)
        if _name(after) == "DocumentStartEvent":
            message = "a file holds one template, and a second document begins here: put it into a file of its own"
            self._stop(_place(after.start_mark), message)
        return root

    def _node(self, event: Any, depth: int) -> tuple[Node, int]:
        """The node that begins with this event, and its height: 1 for a scalar."""
        if _name(event) == "AliasEvent":
            return self._alias(event, depth)
        place = _place(event.start_mark)
        self._nodes += 1
        self._grow(1, place)
        if self._nodes > NODES_MAX:
            self._stop(place, f"the document has more than {NODES_MAX} values: split it into several templates")
        self._check_depth(depth, place)
        if event.ctag is not None:
            self._stop(place, f"the tag {shown(str(event.ctag))} is not allowed: write the value without a tag")
        if event.anchor is None:
            return self._kinds[_name(event)](event, depth)
        return self._anchored(event, depth)

    def _anchored(self, event: Any, depth: int) -> tuple[Node, int]:
        weight = self._weight
        self._anchors[event.anchor] = None
        node, height = self._kinds[_name(event)](event, depth)
        self._anchors[event.anchor] = (node, self._weight - weight + 1, height)
        return node, height

    def _alias(self, event: Any, depth: int) -> tuple[Node, int]:
        place = _place(event.start_mark)
        name = shown(event.anchor)
        if event.anchor not in self._anchors:
            self._stop(place, f"the anchor {name} is not defined above this place")
        anchored = self._anchors[event.anchor]
        if anchored is None:
            self._stop(place, f"the anchor {name} contains itself")
        node, weight, height = anchored
        self._grow(weight, place)
        self._check_depth(depth + height - 1, place)
        return node, height

    def _grow(self, weight: int, place: Place) -> None:
        self._weight += weight
        if self._weight > EXPANDED_MAX:
            self._stop(place, "with its aliases written out the document would be too large")

    def _check_depth(self, depth: int, place: Place) -> None:
        if depth > DEPTH_MAX:
            self._stop(place, f"the document is nested more than {DEPTH_MAX} levels deep")

    def _scalar(self, event: Any, depth: int) -> tuple[Node, int]:
        text: str = event.value
        place = _place(event.start_mark)
        self._grow(len(text), place)
        if not event.style:
            return ScalarNode(self._plain_value(text, place), text, True, place), 1
        if _UNSTORABLE.search(text):
            text = self._storable(text, place)
        return ScalarNode(text, text, False, place), 1

    def _plain_value(self, text: str, place: Place) -> bool | int | float | str | None:
        try:
            return _resolved(text)
        except ValueError as error:
            self._tell(place, str(error))
            return 0

    def _storable(self, text: str, place: Place) -> str:
        # JSON spells a character past U+FFFF as two escapes; only a half without its partner is wrong.
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if "\x00" in whole or whole.count("\ufffd") > text.count("\ufffd"):
            self._tell(place, "text may hold neither NUL nor half a surrogate pair: PostgreSQL cannot store it")
        return whole

    def _sequence(self, event: Any, depth: int) -> tuple[Node, int]:
        items: list[Node] = []
        height = 0
        while _name(following := next(self._events)) != "SequenceEndEvent":
            self._path.append(len(items))
            node, below = self._node(following, depth + 1)
            self._path.pop()
            items.append(node)
            height = max(height, below)
        return ListNode(tuple(items), _place(event.start_mark)), height + 1

    def _mapping(self, event: Any, depth: int) -> tuple[Node, int]:
        entries: dict[str, Entry] = {}
        merged: list[Node] = []
        height = 0
        while _name(following := next(self._events)) != "MappingEndEvent":
            key, _ = self._node(following, depth + 1)
            self._path.append(key.text if isinstance(key, ScalarNode) else "?")
            node, below = self._node(next(self._events), depth + 1)
            height = max(height, below)
            if isinstance(key, ScalarNode) and key.is_plain and key.text == "<<":
                merged.append(node)
            else:
                self._put(entries, key, node)
            self._path.pop()
        for node in merged:
            self._merge(entries, node)
        return MapNode(entries, _place(event.start_mark)), height + 1

    def _put(self, entries: dict[str, Entry], key: Node, node: Node) -> None:
        if not isinstance(key, ScalarNode) or key.value is None or not key.text:
            self._tell(key.place, "a key must be text")
        elif key.text in entries:
            first = entries[key.text].key
            message = f"the key {shown(key.text)} stands here a second time; the first is in line {first.line}"
            self._tell(key.place, f"{message}, column {first.column}: remove one of them")
        else:
            entries[key.text] = Entry(key.place, node)

    def _merge(self, entries: dict[str, Entry], node: Node) -> None:
        """`<<`: what the mapping does not say itself is taken from another, or from several, the first winning."""
        for source in node.items if isinstance(node, ListNode) else (node,):
            if isinstance(source, MapNode):
                for key, entry in source.entries.items():
                    entries.setdefault(key, entry)
            else:
                self._tell(source.place, '"<<" takes a mapping or a list of mappings')

    def _tell(self, place: Place, message: str) -> None:
        self._report.error(Spot.at(self._path, place), message)

    def _stop(self, place: Place, message: str) -> NoReturn:
        self._report.stop(Spot.at(self._path, place), message)


def _name(event: Any) -> str:
    return type(event).__name__


def _resolved(text: str) -> bool | int | float | str | None:
    """What a scalar without quotes means in YAML 1.2. Raises ValueError for a number that JSON cannot carry."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in "+-.0123456789" or len(text) > _NUMBER_LENGTH_MAX:
        return text
    if _INTEGER.fullmatch(text):
        number = int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if not -(1 << 63) <= number < 1 << 63:
            raise ValueError(f"the number {shorten(text)} does not fit into 64 bits: write it in quotes")
        return number
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    if _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a number that JSON can carry")
    return text
