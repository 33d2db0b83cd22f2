"""One rule, one home: SQL is in sql/, and the store alone calls it. (tests/test_layout.py holds the arrows.)"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "tasker"
FUNCTIONS = sorted((SOURCE / "sql" / "functions").rglob("*.sql"))
_WRITES = re.compile(r"\b(insert into|update|delete from|truncate)\s+tasker_engine\.", re.IGNORECASE)
_BUILDS_SQL = {"prune_queues"}
"""PGMQ has a table for each queue, and no function that deletes by age."""
_MAKES_TRIGGERS = {"use_transport"}
"""They are there only while a transport needs them, and write messages alone."""
_BOOKKEEPING = {"migrations", "functions_loaded"}


def _strings(file: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every string of a file that is no docstring."""
    tree = ast.parse(file.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def test_only_the_store_names_what_is_in_the_schema() -> None:
    """Outside sql/ and store/ no Python knows what the schema holds, but the call that users run themselves."""
    wrong = [
        f"{file.relative_to(SOURCE)}:{line}: {text[:60]}"
        for file in SOURCE.rglob("*.py")
        if file.relative_to(SOURCE).parts[0] not in ("sql", "store", "submission.py")
        for line, text in _strings(file)
        if "tasker_engine." in text
    ]
    assert not wrong, "\n".join(wrong)


def test_python_writes_through_verbs_alone() -> None:
    """The store writes no table of the engine itself; the runner of migrations keeps its own two."""
    wrong = [
        f"{file.relative_to(SOURCE)}:{line}: {text[:60]}"
        for file in SOURCE.rglob("*.py")
        for line, text in _strings(file)
        for write in _WRITES.finditer(text)
        if re.match(r"\w+", text[write.end() :])[0] not in _BOOKKEEPING  # type: ignore[index]
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("file", FUNCTIONS, ids=lambda file: file.stem)
def test_a_function_says_what_it_promises(file: Path) -> None:
    """Each file of functions opens with a comment; none builds its SQL at run time, and none is a trigger."""
    text = file.read_text()
    assert re.match(r"-- \w", text), f"{file.name} does not say what it holds"
    code = re.sub(r"--.*", "", text)
    assert file.stem in _BUILDS_SQL or not re.search(r"\bexecute\s+(format|'|\w+\s*\|\|)", code), "dynamic SQL"
    assert file.stem in _MAKES_TRIGGERS or not re.search(r"create (or replace )?trigger", code), "trigger"


def _arguments(text: str, begin: int) -> str:
    """What stands between the parenthesis that opens before `begin` and the one that closes it."""
    depth = 1
    for end in range(begin, len(text)):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if depth == 0:
            return text[begin:end]
    raise AssertionError("a parenthesis is not closed")


def test_no_function_hands_its_own_time_to_one_that_takes_time_from_tests_alone() -> None:
    """Where the clock is not a test's, a time that is given is refused: `given_time` hands on what was given."""
    functions = re.compile(r"create or replace function tasker_engine\.(\w+)\(.*?\$\$;", re.DOTALL)
    bodies = {found[1]: found[0] for file in FUNCTIONS for found in functions.finditer(file.read_text())}
    clocked = {name for name, body in bodies.items() if "_now := tasker_engine.clock(_now)" in body}
    assert {"sweep", "act", "end_session", "claim", "drive_job"} <= clocked
    calls = re.compile(rf"tasker_engine\.({'|'.join(clocked)})\(")
    wrong = [
        f"{name} calls {found[1]}"
        for name in clocked
        for found in calls.finditer(bodies[name].split("$$", 1)[1])
        if re.search(r"(?<!\()_now\b", _arguments(found.string, found.end()))
    ]
    assert not wrong, "\n".join(wrong)
