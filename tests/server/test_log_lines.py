"""What is logged is one line, whatever is in it: nobody can write lines of their own into a log."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tasker.cli.serving.foreign_logs import in_one_line

HOSTILE = 'a\nb\r\x1b[31m\x00\u2028\u0085"}\n{"event": "forged", "level": "info"}'
PROGRAM = """
import logging, sys
from tasker.cli.serving.child import configure_logs
from tasker.cli.serving.foreign_logs import take_foreign_logs
from tasker.settings import Settings
from tasker.worker.log import log
configure_logs(Settings(log_format=sys.argv[1]))
take_foreign_logs()
take_foreign_logs()
text = sys.stdin.read()
log.warning("ours", name=text, names=[text], by={text: text})
log.info("more", name=text)
logging.getLogger("a.library").warning("theirs %s", text)
try:
    raise ValueError(text)
except ValueError:
    logging.getLogger("a.library").exception("failed")
"""


def logged(kind: str) -> str:
    """What a process logs that is given hostile text to log."""
    command = [sys.executable, "-c", PROGRAM, kind]
    return subprocess.run(command, input=HOSTILE.replace("\x00", "\x01"), stderr=-1, text=True, check=True).stderr


def test_each_line_of_json_is_one_event() -> None:
    """Four events are four lines, each a whole object with its own event and level; errors are named, not quoted."""
    lines = [json.loads(line) for line in logged("json").split("\n") if line]
    assert [line["level"] for line in lines] == ["warning", "info", "warning", "error"]
    assert not any(line["event"] == "forged" for line in lines)
    assert lines[0]["name"] == HOSTILE.replace("\x00", "\x01")
    assert lines[3]["error"] == "ValueError" and "forged" not in json.dumps(lines[3])


def test_each_line_of_text_is_one_event() -> None:
    """The same for people: four lines, and nothing that moves the terminal's cursor."""
    text = logged("text")
    assert len(re.findall(r"[\n\r\u2028\u0085]", text)) == 4
    assert "\x1b" not in text


@pytest.mark.parametrize("character", ["\n", "\r", "\x1b", "\0", "\u2028", "\u0085", "\x9b", "\u202e"])
def test_what_is_not_printable_is_spelled_out(character: str) -> None:
    """And printable text stays as it is."""
    assert in_one_line(f"é{character}ö") == f"é{repr(character)[1:-1]}ö"
