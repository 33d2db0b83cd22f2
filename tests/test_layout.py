"""The arrows between the packages, and the bounds on functions and files."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "tasker"
FUNCTION_LINES_MAX, FILE_LINES_MAX = 60, 400
EVERYWHERE = {"__init__", "__main__"}
"""The public names are imported when they are used, from wherever they are at home."""


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def package(parts: tuple[str, ...]) -> str:
    """Of a module's path below `tasker`, the node of the diagram that it belongs to."""
    return parts[1] if parts[0] == "cli" and parts[1:2] in (("serving",), ("exits",)) else parts[0]


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a file imports, lazily or not."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}:{node.lineno}: imports are absolute"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def ways() -> dict[str, set[str]]:
    """For each package, all that the arrows of docs/architecture.md lead to."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    arrows = re.findall(r"^  (\w+) --> (\w+)$", page, re.MULTILINE)
    assert len(arrows) > 10
    reach: dict[str, set[str]] = {}

    def follow(node: str, path: tuple[str, ...]) -> set[str]:
        assert node not in path, f"the arrows go round: {' -> '.join((*path, node))}"
        nexts = {to for source, to in arrows if source == node}
        return nexts.union(*(follow(one, (*path, node)) for one in nexts)) if nexts else set()

    for node in {name for arrow in arrows for name in arrow}:
        reach[node] = follow(node, ())
    return reach


def test_imports_follow_the_arrows() -> None:
    """A package imports only what the arrows in docs/architecture.md lead to, and they never go round."""
    reach, wrong = ways(), []
    for file in python_files("src/tasker"):
        here = package(file.relative_to(SOURCE).with_suffix("").parts)
        if here in EVERYWHERE:
            continue
        for line, name in imports(file):
            if not name.startswith("tasker.") or name == "tasker.__version__":
                continue
            there = package(tuple(name.split(".")[1:]))
            if there != here and there not in reach[here]:
                wrong.append(f"{file.relative_to(ROOT)}:{line}: {here} imports {there}")
    assert not wrong, "\n".join(wrong)


def test_the_model_stands_on_the_standard_library_alone() -> None:
    """Nouns need no dependency."""
    wrong = [
        f"{file.relative_to(ROOT)}:{line}: {name}"
        for file in python_files("src/tasker/model")
        for line, name in imports(file)
        if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("tasker.model")
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_store_imports_the_driver() -> None:
    """Whoever swaps the driver touches one folder."""
    wrong = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in python_files("src/tasker")
        for line, name in imports(file)
        if name.split(".")[0] in {"asyncpg", "psycopg"} and "store" not in file.relative_to(SOURCE).parts
    ]
    assert not wrong, "\n".join(wrong)


def test_functions_and_files_are_short() -> None:
    """No function has more than 60 lines, no file more than 400; of SQL functions none has more than 80."""
    wrong: list[str] = []
    for file in python_files("src", "tests", "bench", "examples"):
        text = file.read_text()
        if len(text.splitlines()) > FILE_LINES_MAX:
            wrong.append(f"{file.relative_to(ROOT)}: {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}: {node.name} has {lines} lines")
    for file in sorted((SOURCE / "sql").rglob("*.sql")):
        for body in re.findall(r"^create (?:or replace )?function (.*?)^(?:end )?\$\$;", file.read_text(), re.M | re.S):
            if body.count("\n") + 1 > 80:
                wrong.append(f"{file.relative_to(ROOT)}: {body.split('(')[0]} has {body.count(chr(10)) + 1} lines")
    assert not wrong, "\n".join(wrong)


def test_no_class_has_an_empty_name() -> None:
    """No class is a Manager, Service, Processor, Coordinator, Helper, Util or Base: the noun would be missing."""
    empty = re.compile(r"(Manager|Service|Processor|Coordinator|Helper|Util|Utils|Base)$")
    wrong = [
        f"{file.relative_to(ROOT)}:{node.lineno}: {node.name}"
        for file in python_files("src")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef) and empty.search(node.name)
    ]
    assert not wrong, "\n".join(wrong)
