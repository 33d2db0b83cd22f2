"""`tasker dev` as a process of its own, read line by line."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx2

_WITHIN_S = 90

TEMPLATE = """\
tasker: 1
namespace_name: shop
name: greet
version: 1.0.0
input_schema: {type: object, required: [who], properties: {who: {type: string, examples: [ada]}}}
steps:
  - {name: say, handler: say}
"""
HANDLERS = """\
from tasker import inputs, step_handler


@step_handler("say")
@inputs("who")
async def say(who):
    return {"said": f"hello {who}"}
"""


class Dev:
    """The command in a folder; what it prints is gathered as it comes."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self._news = threading.Condition()
        command = [sys.executable, "-m", "tasker", "dev", "--templates", "greet.yaml", *words]
        self.process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self.lines.append("the end")
            self._news.notify_all()

    def sees(self, pattern: str, count: int = 1) -> re.Match[str]:
        """Waits for the line, the so-many-th, that a pattern is found in."""

        def found() -> list[re.Match[str]]:
            return [match for line in self.lines if (match := re.search(pattern, line))]

        with self._news:
            ok = self._news.wait_for(lambda: len(found()) >= count or self.lines[-1:] == ["the end"], _WITHIN_S)
            assert ok and len(found()) >= count, f"{pattern}: {self.lines}"
            return found()[count - 1]

    def runs_a_task(self) -> Any:
        """Does what the first line says, as it stands there; the result of the task's step."""
        self.sees("^curl ")
        _, _, url, _, header, _, body = shlex.split(self.lines[0])
        name, _, value = header.partition(": ")
        task = httpx2.post(url, content=body, headers={name: value}, timeout=_WITHIN_S).json()["task_uuid"]
        done = httpx2.get(f"{url}/{task}", params={"wait": "60s"}, timeout=_WITHIN_S).json()
        assert done["status"] == "complete", (done, self.lines)
        return httpx2.get(f"{url}/{task}/context", timeout=_WITHIN_S).json()["outputs"]["say"]

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def stop(self, number: int = signal.SIGINT) -> int:
        """Sends a signal; the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(_WITHIN_S)
        self._reader.join(_WITHIN_S)
        return code

    def end(self) -> None:
        """Ends it however it stands."""
        if self.process.poll() is None:
            self.stop()
