"""What there is to say of each setting: for `tasker config`, and for the table of docs/settings.md."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from tasker.settings import Settings, setting_fields
from tasker.settings_file import SettingsFile

OTHER_VARIABLES = frozenset(
    f"TASKER_{name}"
    for name in (
        "API_KEY",
        "API_KEY_HEADER",
        "AUTH_TOKEN",
        "CLIENT_TRANSPORT",
        "CONFIG",
        "CONFIG_PATH",
        "DEBUG",
        "ORCHESTRATION_AUTH_TOKEN",
        "ORCHESTRATION_TIMEOUT_MS",
        "ORCHESTRATION_URL",
        "POSTGRES_BIN",
        "PROFILE",
        "TEMPLATE_PATH",
        "URL",
    )
)
"""Variables that are ours, or tasker_core's, and no settings."""
_OF_ORCHESTRATORS = re.compile(r"_SERVICE_(HOST|PORT\w*)$|_PORT(_\d+_(TCP|UDP)\w*)?$")
"""What Kubernetes puts into the environment for a service that is named tasker."""
_SCALARS = {bool: "true or false", str: "text", Path: "a file", SecretStr: "secret text"}


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting. `default` is as TOML would have it, empty where it is not set."""

    key: str
    name: str
    variable: str
    kind: str
    default: str
    meaning: str


def setting_rows() -> list[SettingRow]:
    """All settings, in their order."""
    return [_row(key, name, Settings.model_fields[name]) for key, name in setting_fields().items()]


def _row(key: str, name: str, field: FieldInfo) -> SettingRow:
    default = "" if field.default is None else _plain(field.default)
    return SettingRow(key, name, f"TASKER_{key.upper()}", _kind(key, field), default, field.description or "")


def _plain(value: Any) -> str:
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return json.dumps(whole)


def _kind(key: str, field: FieldInfo) -> str:
    kind: Any = field.annotation
    if type(None) in get_args(kind):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is Literal:
        return " or ".join(json.dumps(one) for one in get_args(kind))
    if get_origin(kind) is dict:
        return "a table of lists of text"
    if get_origin(kind) is list:
        (inner,) = get_args(kind)
        if get_origin(inner) is Literal:
            return f"a list of {', '.join(json.dumps(one) for one in get_args(inner))}"
        return "a list of files" if inner is Path else "a list of text"
    return ", ".join([_SCALARS.get(kind) or _unit(key, kind), *_bounds(field)])


def _unit(key: str, kind: type) -> str:
    if "bytes" in key:
        return "bytes"
    if key.endswith("_s") or "_s_" in key:
        return "seconds"
    return "a number" if kind is float else "a whole number"


def _bounds(field: FieldInfo) -> Iterator[str]:
    for bound in field.metadata:
        for name, words in (("gt", "above"), ("ge", "at least"), ("le", "at most"), ("min_length", "at least")):
            if (limit := getattr(bound, name, None)) is not None:
                yield f"{words} {limit:g}{' characters' if name == 'min_length' else ''}"


def source_of(row: SettingRow, file: SettingsFile | None, environ: Mapping[str, str] = os.environ) -> str:
    """Where a setting's value comes from: the variable, the place in the file, or `default`."""
    if row.variable in map(str.upper, environ):
        return row.variable
    return file.place(row.key) if file is not None and row.key in file.values else "default"


def misspelled(environ: Mapping[str, str] = os.environ) -> list[str]:
    """What to say of each variable that looks like a setting's and is none."""
    variables = {row.variable for row in setting_rows()} | OTHER_VARIABLES
    unknown = (
        name
        for name in sorted(environ)
        if name.upper().startswith("TASKER_")
        and name.upper() not in variables
        and not _OF_ORCHESTRATORS.search(name.upper())
    )
    found = [(name, get_close_matches(name.upper(), variables, n=1, cutoff=0.8)) for name in unknown]
    return [f"{name} is no setting; did you mean {near[0]}?" for name, near in found if near]


def markdown_table() -> str:
    """The table of docs/settings.md."""
    lines = ["| key | variable | default | value | meaning |", "|---|---|---|---|---|"]
    for row in setting_rows():
        default = f"`{row.default}`" if row.default else ""
        lines.append(f"| `{row.key}` | `{row.variable}` | {default} | {row.kind} | {row.meaning} |")
    return "\n".join(lines) + "\n"
