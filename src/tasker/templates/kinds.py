"""What a value in a template may be: the kinds that the grammar is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from tasker.model.json import Json

_UNPRINTABLE = r"\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_ONE_LINE = rf"[^\s{_UNPRINTABLE}](?:[^{_UNPRINTABLE}]*[^\s{_UNPRINTABLE}])?"


class Absent(Enum):
    """The default of a key that has none."""

    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string. `rule` says in words what `pattern`, which must match all of it, asks for."""

    at_least: int = 1
    at_most: int = 255
    pattern: str | None = _ONE_LINE
    rule: str = "one line of printable characters without spaces around it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole number with its bounds, both included."""

    at_least: int
    at_most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number, whole or not. `above` excludes its bound, the others include theirs."""

    at_least: float | None = None
    above: float | None = None
    at_most: float


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GrammarVersion:
    """The number after `tasker:`."""


@dataclass(frozen=True, slots=True)
class Free:
    """Any mapping of JSON values."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """A JSON Schema, itself valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """A list; `noun` names its items in messages."""

    item: Kind
    noun: str
    at_least: int = 0
    at_most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOf:
    """A mapping whose keys the user names."""

    item: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a mapping.

    Without a default a key that is not required is simply absent; a default of None means that null may be written.
    `loose_default` is the default in files without `tasker: 1` where it is another one.
    """

    name: str
    kind: Kind
    about: str
    is_required: bool = False
    default: Json | Absent = Absent.ABSENT
    loose_default: Json | Absent = Absent.ABSENT
    alias: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A mapping with known keys.

    `short` is the key that a bare string stands for. `later` are keys that a later version of Tasker brings, `misnamed`
    says what people mean who write another system's word, and `renamed` are older words that are still understood in
    files without `tasker: 1`. In a `is_closed` record an unknown key is an error in those files too.
    """

    noun: str
    keys: tuple[Key, ...]
    short: str | None = None
    later: tuple[str, ...] = ()
    misnamed: dict[str, str] = field(default_factory=dict[str, str])
    renamed: dict[str, str] = field(default_factory=dict[str, str])
    is_closed: bool = False


Kind: TypeAlias = Text | Whole | Number | Flag | Choice | GrammarVersion | Free | JsonSchema | ListOf | MapOf | Record
