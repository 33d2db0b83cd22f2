"""The names and signatures of the published interface."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest
from signatures import LATER, MODULES, SIGNATURES

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


@pytest.mark.parametrize(("module", "names"), MODULES.items())
def test_every_name_is_where_it_was(module: str, names: str) -> None:
    """Modules and names of the published package can be imported."""
    home = import_module(module)
    missing = [name for name in names.split() if not hasattr(home, name)]
    assert not missing


@pytest.mark.parametrize(("place", "signature"), SIGNATURES.items())
def test_every_signature_is_what_it_was(place: str, signature: str) -> None:
    """Parameters have their names, order and defaults."""
    module, _, path = place.partition(":")
    found: Any = import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    assert shown(found) == signature


def test_all_names_of_the_published_package_are_accounted_for() -> None:
    """Each of the 121 is here, or says that a later version brings it."""
    here, later = MODULES["tasker_core"].split(), LATER.split()
    assert len(here) + len(later) == 121
    assert set(here) - {"__version__"} <= set(tasker_core.__all__)
    assert set(later) == tasker_core.LATER


@pytest.mark.parametrize("name", LATER.split())
def test_what_is_to_come_says_so(name: str) -> None:
    """Importing it is an ImportError in plain words, and an unknown name is an ordinary mistake."""
    with pytest.raises(ImportError, match=f"tasker_core.{name} is not in this version of Tasker"):
        exec(f"from tasker_core import {name}")  # noqa: S102 - as a user writes it
    with pytest.raises(AttributeError):
        _ = tasker_core.no_such_name


def test_the_engine_does_not_import_it() -> None:
    """`import tasker` stays quick."""
    code = "import sys, tasker; from tasker import StepHandler; print('tasker_core' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
