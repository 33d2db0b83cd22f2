"""A YAML document as a tree in which everything knows its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from tasker.model.json import Json


@dataclass(frozen=True, slots=True)
class Place:
    """A line and a column of a file, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """One value. `text` is how it is written; `is_plain` says that it stands without quotes."""

    value: bool | int | float | str | None
    text: str
    is_plain: bool
    place: Place


@dataclass(frozen=True, slots=True)
class ListNode:
    """A sequence."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping with what it holds.

    `written` is the key as the file spells it where a translation has given it another name; it is empty for a key
    that the file does not have at all.
    """

    key: Place
    node: Node
    written: str | None = None


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping. An anchored mapping may stand in several places of the tree."""

    entries: dict[str, Entry]
    place: Place

    def get(self, key: str) -> Node | None:
        """What the key holds, None where it is missing."""
        entry = self.entries.get(key)
        return entry.node if entry else None


Node: TypeAlias = ScalarNode | ListNode | MapNode


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a reader of the tree stands: the path in the grammar's words, the path as written, and the place."""

    path: str
    written: str
    place: Place

    @classmethod
    def at(cls, path: Iterable[str | int], place: Place) -> Spot:
        """The spot at a path of keys and indices."""
        text = ""
        for step in path:
            text = f"{text}[{step}]" if isinstance(step, int) else _join(text, _segment(step))
        return cls(text, text, place)

    def key(self, name: str, entry: Entry) -> Spot:
        """The spot of what a key of this mapping holds."""
        written = _segment(name) if entry.written is None else entry.written
        return Spot(_join(self.path, _segment(name)), _join(self.written, written), entry.node.place)

    def item(self, index: int, node: Node) -> Spot:
        """The spot of an item of this list."""
        return Spot(f"{self.path}[{index}]", f"{self.written}[{index}]", node.place)


def _segment(key: str) -> str:
    """A key as it stands in a path."""
    return f"[{shown(key)}]" if not key.isprintable() or any(c in key for c in " .[]\"'") else shorten(key)


def _join(path: str, segment: str) -> str:
    return f"{path}.{segment}" if path and segment and not segment.startswith("[") else path + segment


def shorten(text: str, length: int = 60) -> str:
    """The text with its middle cut out where it is longer than `length` characters."""
    if len(text) <= length:
        return text
    half = (length - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def shown(text: str) -> str:
    """The text in quotes as a message shows it: one line, printable, not long."""
    printable = "".join(c if c.isprintable() else repr(c)[1:-1] for c in shorten(text))
    return f'"{printable}"'


def is_nothing(node: Node | None) -> bool:
    """True for a key that is missing or holds null."""
    return node is None or (isinstance(node, ScalarNode) and node.value is None)


def is_empty(node: Node) -> bool:
    """True for null, `[]` and `{}`."""
    if isinstance(node, ListNode):
        return not node.items
    if isinstance(node, MapNode):
        return not node.entries
    return node.value is None


def plain(node: Node) -> Json:
    """The tree below a node as JSON values, all of them new."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {key: plain(entry.node) for key, entry in node.entries.items()}


def size(node: Node) -> int:
    """How many values the tree below a node has, itself included."""
    if isinstance(node, ScalarNode):
        return 1
    below = node.items if isinstance(node, ListNode) else [entry.node for entry in node.entries.values()]
    return 1 + sum(size(inner) for inner in below)


def kind_of(node: Node) -> str:
    """What a node is, as a message names it."""
    if isinstance(node, ListNode):
        return "a list"
    if isinstance(node, MapNode):
        return "a mapping"
    if isinstance(node.value, bool):
        return f"the truth value {node.text}"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, int | float):
        return f"the number {shorten(node.text)}"
    return f"the text {shown(node.text)}"
