"""Broken variants of the engine: one function of one database is replaced by a text that differs in one place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from support.checker import check
from support.engine import Engine

Story = Callable[[Engine], Awaitable[None]]


@dataclass(frozen=True)
class Mutant:
    """In `function`, `right` becomes `wrong`; the story must then fail, or the checker name the invariant `broken`."""

    name: str
    function: str
    right: str
    wrong: str
    story: Story
    broken: str | None = None


async def infect(engine: Engine, mutant: Mutant) -> None:
    """Replaces the function. AssertionError where its text no longer holds what the mutant changes."""
    query = """select pg_get_functiondef(p.oid) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
               where n.nspname = 'tasker_engine' and p.proname = $1"""
    texts = [row["pg_get_functiondef"] for row in await engine.rows(query, mutant.function)]
    infected = [text.replace(mutant.right, mutant.wrong) for text in texts if mutant.right in text]
    assert infected, f"{mutant.function} does not hold {mutant.right!r} any more: mend the mutant"
    for text in infected:
        await engine.connection.raw.execute(text)


async def symptoms(engine: Engine, story: Story) -> list[str]:
    """What goes wrong in the story: what it finds itself, and what the checker finds after it."""
    found: list[str] = []
    try:
        await story(engine)
    except (Exception, pytest.fail.Exception) as error:
        found.append(f"story: {type(error).__name__}: {error}")
    return found + check(engine.dsn)
