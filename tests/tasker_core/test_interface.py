"""The names and signatures of the published interface."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest
from signatures import FIELDS, MODULES, SIGNATURES, WORDS

import tasker_core


def shown(obj: Any) -> str:
    """The parameters as the table has them: no annotations, enums as their words."""
    parts: list[str] = []
    is_bare = False
    for one in inspect.signature(obj).parameters.values():
        if one.name == "self":
            continue
        if one.kind is one.KEYWORD_ONLY and not is_bare:
            parts.append("*")
            is_bare = True
        mark = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        is_bare = is_bare or mark == "*"
        default = getattr(one.default, "value", None) if hasattr(one.default, "value") else repr(one.default)
        parts.append(f"{mark}{one.name}" + ("" if one.default is one.empty else f"={default}"))
    return ", ".join(parts)


def found_at(place: str) -> Any:
    """What lies at `module:name.name`."""
    module, _, path = place.partition(":")
    found: Any = import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found


@pytest.mark.parametrize(("module", "names"), MODULES.items())
def test_every_name_is_where_it_was(module: str, names: str) -> None:
    """Modules and names of the published package can be imported."""
    home = import_module(module)
    missing = [name for name in names.split() if not hasattr(home, name)]
    assert not missing


@pytest.mark.parametrize(("place", "signature"), SIGNATURES.items())
def test_every_signature_is_what_it_was(place: str, signature: str) -> None:
    """Parameters have their names, order and defaults."""
    assert shown(found_at(place)) == signature


@pytest.mark.parametrize(("place", "names"), FIELDS.items())
def test_every_record_has_its_fields(place: str, names: str) -> None:
    """The published fields come first, in their order; what is of ours comes after them."""
    record = found_at(place)
    fields = list(record.model_fields) if hasattr(record, "model_fields") else list(record.__dataclass_fields__)
    assert fields[: len(names.split())] == names.split()


@pytest.mark.parametrize(("place", "words"), WORDS.items())
def test_every_enumeration_has_its_words(place: str, words: str) -> None:
    """The values that templates, results and listeners name."""
    known = [getattr(value, "value", value) for name, value in vars(found_at(place)).items() if name.isupper()]
    assert known == words.split()


def test_all_names_of_the_published_package_are_here() -> None:
    """All of the 121; NotAvailableError is of ours."""
    names = MODULES["tasker_core"].split()
    assert len(names) == len(set(names)) == 121
    assert set(names) | {"NotAvailableError"} == set(tasker_core.__all__)
    assert len(MODULES["tasker_core._tasker_core"].split()) == 31


def test_an_unknown_name_is_an_ordinary_mistake() -> None:
    """An AttributeError, as of any module."""
    with pytest.raises(AttributeError):
        _ = tasker_core.no_such_name


def test_the_engine_does_not_import_it() -> None:
    """`import tasker` stays quick."""
    code = "import sys, tasker; from tasker import StepHandler; print('tasker_core' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
