"""From files to templates: read, translate, check, override, build."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasker.model.errors import TemplateError
from tasker.model.problem import Problem
from tasker.model.template import Template
from tasker.templates.checker import Checker
from tasker.templates.definition import differences, from_definition, to_definition
from tasker.templates.document import Place, Spot
from tasker.templates.grammar import TEMPLATE
from tasker.templates.older import is_older, translate
from tasker.templates.overrides import apply_environment
from tasker.templates.report import PROBLEMS_MAX, Report, error_of, in_order
from tasker.templates.rules import check_rules
from tasker.templates.yaml_reader import FILE_MAX_BYTES, read_document

FILES_MAX = 10_000
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A template, what its file's writer should know, and the file's name."""

    template: Template
    warnings: tuple[Problem, ...]
    source: str


def load_text(text: str, *, name: str = "<text>", environment: str | None = None) -> Loaded:
    """The template that a text holds, as it is in `environment`; `name` stands for the file in messages.

    Raises TemplateError with every problem that it finds.
    """
    report = Report(name)
    root = read_document(text, report)
    is_strict = "tasker" in root.entries
    older = is_older(root)
    if older:
        root = translate(root, report)
    checker = Checker(report, is_strict=is_strict)
    values: dict[str, Any] = checker.check(TEMPLATE, root, Spot("", "", Place(1, 1)))
    check_rules(values, checker.spots, report, is_strict=is_strict)
    report.close()
    template = from_definition(apply_environment(values, environment, is_deep=older))
    return Loaded(template, tuple(in_order(report.warnings)), name)


def load_file(path: str | Path, *, environment: str | None = None) -> Loaded:
    """The template that a file holds, as it is in `environment`.

    Raises TemplateError with every problem that it finds, a file that cannot be read included.
    """
    name = str(path)
    try:
        text = _text_of(Path(path), name)
    except OSError as error:
        raise _file_error(name, f"cannot be read: {error.strerror or error}") from error
    return load_text(text, name=name, environment=environment)


def load_given(given: Iterable[str | Path | Template], environment: str | None = None) -> list[Template]:
    """The templates of these paths, as load_paths has them, and then those that are templates already."""
    known = list(given)
    paths = [one for one in known if not isinstance(one, Template)]
    loaded = load_paths(paths, environment=environment) if paths else ()
    return [*(one.template for one in loaded), *(one for one in known if isinstance(one, Template))]


def load_paths(paths: Iterable[str | Path], environment: str | None = None) -> tuple[Loaded, ...]:
    """The templates of files, of folders (all *.yaml and *.yml in them and below, hidden ones left out) and of globs.

    Files come in the order of the paths, those of a folder or glob sorted; a file that is named twice is read once.
    Raises TemplateError with the problems of all files. Two files may not hold the same version of a template with
    different content.
    """
    loaded: list[Loaded] = []
    problems: list[Problem] = []
    seen: set[Path] = set()
    for file in _files(paths, problems):
        if len(seen) >= FILES_MAX:
            raise _file_error(str(file), f"there are more than {FILES_MAX} files: name the folders that hold templates")
        if (resolved := file.resolve()) in seen:
            continue
        seen.add(resolved)
        try:
            loaded.append(load_file(file, environment=environment))
        except TemplateError as error:
            problems += error.problems
        if len(problems) >= PROBLEMS_MAX:
            break
    problems += _clashes(loaded)
    if problems:
        raise error_of(problems)
    return tuple({each.template.full_name: each for each in reversed(loaded)}.values())[::-1]


def _text_of(path: Path, name: str) -> str:
    if not path.is_file():
        raise _file_error(name, "is not a file" if path.exists() else "there is no such file")
    with path.open("rb") as file:
        content = file.read(FILE_MAX_BYTES + 1)
    if len(content) > FILE_MAX_BYTES:
        raise _file_error(name, f"is larger than {FILE_MAX_BYTES} bytes: split it into several templates")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = len(before) - (before.rfind(b"\n") + 1) + 1
        message = f"is not UTF-8: the byte 0x{content[error.start]:02x} stands here; save the file as UTF-8"
        raise error_of([Problem(name, before.count(b"\n") + 1, column, "", message)]) from error


def _file_error(name: str, message: str) -> TemplateError:
    return error_of([Problem(name, 0, 0, "", message)])


def _files(paths: Iterable[str | Path], problems: list[Problem]) -> Iterator[Path]:
    """The files that the paths mean; a path that means nothing is a problem."""
    for given in paths:
        path = Path(given).expanduser()
        if path.exists():
            yield from _files_of(path)
        elif glob.has_magic(str(path)):
            matches = sorted(glob.glob(str(path), recursive=True))
            if not matches:
                problems.append(Problem(str(given), 0, 0, "", "no file matches this pattern"))
            for match in matches:
                yield from _files_of(Path(match))
        else:
            problems.append(Problem(str(given), 0, 0, "", "there is no such file or folder"))


def _files_of(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, inner, names in os.walk(path):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        yield from (Path(folder, n) for n in sorted(names) if n.endswith(_SUFFIXES) and not n.startswith("."))


def _clashes(loaded: list[Loaded]) -> Iterator[Problem]:
    """Files that hold the same version of a template with different content."""
    first: dict[str, Loaded] = {}
    for each in loaded:
        known = first.setdefault(each.template.full_name, each)
        lines = differences(to_definition(known.template), to_definition(each.template)) if known is not each else []
        if lines:
            message = f"{each.template.full_name} stands in {known.source} with other content ({lines[0]})"
            yield Problem(each.source, 0, 0, "", f"{message}: give one of them another version")
