"""The engine's SQL as text: numbered migrations (tables) and functions (verbs, their parts, rules and reads).

The files name the schema `tasker_engine`; another schema's name is put in its place on loading.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

DEFAULT_SCHEMA = "tasker_engine"
_HERE = Path(__file__).parent
_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,46}")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file of tables. Once released it never changes."""

    number: int
    name: str
    text: str


def in_schema(text: str, schema: str) -> str:
    """The SQL text with the schema's name in place of the default one; ValueError if it cannot be a schema's name."""
    if schema == DEFAULT_SCHEMA:
        return text
    if not _SCHEMA_NAME.fullmatch(schema):
        raise ValueError(f'"{schema}" cannot be the name of a schema: use a-z, 0-9 and _, at most 47 characters')
    return re.sub(rf"\b{DEFAULT_SCHEMA}\b", schema, text)


@lru_cache
def migrations() -> tuple[Migration, ...]:
    """All migrations, in order."""
    files = sorted((_HERE / "migrations").glob("*.sql"))
    return tuple(Migration(int(file.name[:4]), file.stem[5:], file.read_text()) for file in files)


@lru_cache
def functions() -> str:
    """All functions as one script; each is replaced as a whole, in any order."""
    files = sorted((_HERE / "functions").rglob("*.sql"))
    return "\n".join(["set local check_function_bodies = off;", *(file.read_text() for file in files)])


@lru_cache
def functions_digest() -> str:
    """Changes whenever any function does."""
    return hashlib.sha256(functions().encode()).hexdigest()
