"""Reading arguments and running the command that they name. Every error ends here."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError

from tasker.cli import exits
from tasker.cli.commands import COMMANDS, GROUPS, Command

_BOTH = {
    group: {one.words: one for one in COMMANDS if one.words == group or one.words.startswith(f"{group} ")}
    for group in GROUPS
    if any(one.words == group for one in COMMANDS)
}
"""Words that are a command and a group: the command and those below it."""


def run(words: Sequence[str]) -> int:
    """Runs one command; the exit code. Errors are told on stderr, with their traceback where TASKER_DEBUG is 1."""
    try:
        answer = build(words)(words, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return answer if isinstance(answer, int) else exits.OK
    except CycloptsError as error:
        return _failed(exits.UsageError(f"{_one_line(error)} (`{_help_of(words)}` says what there is)"), words)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to print has nowhere to go
        return exits.OK
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("TASKER_DEBUG") == "1":
            raise
        return _failed(error, words)


def build(words: Sequence[str] = ()) -> App:
    """The commands; the modules that run them are imported when they do.

    A word that is a command and has others below it is a group where `words` go on with one of those.
    """
    app = App(name="tasker", help_format="plaintext", version=_version, suppress_keyboard_interrupt=False)
    groups: dict[str, App] = {}
    for group, summary in GROUPS.items():
        if group in _BOTH and " ".join(words[:2]) not in _BOTH[group]:
            _register(app, group, _BOTH[group][group])
            continue
        outer, _, name = group.rpartition(" ")
        groups[group] = App(name=name, help=summary)
        (groups[outer] if outer else app).command(groups[group])
    for command in COMMANDS:
        group, _, name = command.words.rpartition(" ")
        if command.words not in GROUPS and (not group or group in groups):
            _register(groups[group] if group else app, name, command)
    return app


def _register(app: App, name: str, command: Command) -> None:
    below = [f"  {words:24}{one.summary}" for words, one in _BOTH.get(command.words, {}).items() if one is not command]
    example = f"Example:\n  {command.example}" + "\n".join(["", "", GROUPS[command.words], *below] if below else [])
    app.command(command.target, name=name, help=command.summary, help_epilogue=example)


def _version() -> str:
    from tasker import __version__

    return f"tasker {__version__}"


def _failed(error: BaseException, words: Sequence[str]) -> int:
    exits.say(error, as_json="--json" in words)
    return exits.exit_code(error)


def _one_line(error: CycloptsError) -> str:
    text: Any = str(error)
    return " ".join(text.split()).rstrip(".")


def _help_of(words: Sequence[str]) -> str:
    known = [command.words for command in COMMANDS if [*words[: len(command.words.split())]] == command.words.split()]
    group = [word for word in words[:1] if word in GROUPS]
    return " ".join(["tasker", *(known or group)[:1], "--help"])
