"""`tasker config show|explain|validate`: what the settings are, and where they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tasker.cli import exits
from tasker.cli.common import Output, flag
from tasker.cli.show import print_json, print_line, print_table
from tasker.model.errors import SettingsError


def show(
    *,
    changed: Annotated[bool, flag("Only those that are not left at their default.")] = False,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Shows every setting with its value, secrets as `***`, and where the value comes from."""
    from tasker.cli.config_rows import setting_rows, source_of
    from tasker.operations.configuration import redacted
    from tasker.settings import Settings
    from tasker.settings_file import settings_file

    values, file = redacted(Settings()), settings_file()
    rows = [(row, values[row.name], source_of(row, file)) for row in setting_rows()]
    told = [each for each in rows if not changed or each[2] != "default"]
    if output.json:
        settings = [
            {"key": row.key, "variable": row.variable, "value": value, "source": source} for row, value, source in told
        ]
        print_json({"file": None if file is None else str(file.path), "settings": settings})
    else:
        print_line(f"file: {'none' if file is None else file.path}")
        lines = [(row.key, _text(value), source) for row, value, source in told]
        print_table(("setting", "value", "from"), lines, empty="every setting is at its default")
    return exits.OK


def _text(value: Any) -> str | None:
    """As TOML has it."""
    import json

    return None if value is None else json.dumps(value)


def explain(
    name: Annotated[str, Parameter(help="The setting: its key, or its variable.")],
    /,
    *,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Explains one setting, also while others are wrong."""
    from tasker.cli.config_rows import setting_rows, source_of
    from tasker.operations.configuration import redacted
    from tasker.settings import Settings, nearest
    from tasker.settings_file import settings_file

    key = name.lower().removeprefix("tasker_")
    row = next((one for one in setting_rows() if one.key == key), None)
    if row is None:
        raise exits.UsageError(f'"{name}" is no setting{nearest(key)}')
    told: dict[str, Any] = {
        "key": row.key,
        "variable": row.variable,
        "meaning": row.meaning,
        "kind": row.kind,
        "default": row.default or None,
    }
    try:
        told |= {"value": redacted(Settings())[row.name], "source": source_of(row, settings_file())}
    except SettingsError as error:
        told["problem"] = str(error)
    if output.json:
        print_json(told)
        return exits.OK
    print_line(row.meaning)
    for word, text in (told | {"value": _text(told.get("value"))}).items():
        if word != "meaning" and text is not None:
            print_line(f"  {word:10}{text}")
    return exits.OK


def validate(
    file: Annotated[Path | None, Parameter(help="This file alone, in place of what counts here.")] = None,
    /,
    *,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Checks the settings that count here, misspelled variables too; or one file."""
    from tasker.cli.config_rows import misspelled
    from tasker.settings import Settings, check_file
    from tasker.settings_file import read_file, settings_file

    if file is not None:
        count = len(check_file(read_file(file)))
    else:
        if wrong := misspelled():
            raise SettingsError("; ".join(wrong))
        count = len(Settings().model_fields_set)
        found = settings_file()
        file = None if found is None else found.path
    if output.json:
        print_json({"file": None if file is None else str(file), "settings": count, "is_valid": True})
    else:
        where = "the environment" if file is None else str(file)
        print_line(f"{where}: right, {count} {'setting' if count == 1 else 'settings'}")
    return exits.OK
