"""A RabbitMQ of the tests' own: on loopback, with a node name, ports and a folder that nobody else has."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr

_PLACES = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/homebrew/sbin/rabbitmq-server")
_START_S = 120.0
_PAUSE_S = 0.1


def find_rabbitmq() -> str:
    """The server's script. Skips the test where there is none."""
    named = os.environ.get("TASKER_RABBITMQ_SERVER")
    found = next((one for one in (named, *_PLACES) if one and Path(one).exists()), None)
    if found is None:
        pytest.skip("RabbitMQ is not installed: apt-get install rabbitmq-server, or name it in TASKER_RABBITMQ_SERVER")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RabbitServer:
    """Started, killed and started again by tests; its data stays until remove()."""

    def __init__(self) -> None:
        self._script = find_rabbitmq()
        self._folder = Path(tempfile.mkdtemp(prefix="tasker-rabbit-"))
        self._port, self._epmd_port, self._dist_port = _free_port(), _free_port(), _free_port()
        self.url = SecretStr(f"amqp://guest:guest@127.0.0.1:{self._port}/")
        (self._folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self._port}\ndisk_free_limit.absolute = 1MB\nlog.console = false\n"
        )
        (self._folder / "enabled_plugins").write_text("[].\n")
        self._environment = {
            **os.environ,
            "HOME": str(self._folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": f"tasker{os.getpid()}@localhost",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_PID_FILE": str(self._folder / "pid"),
            "RABBITMQ_CONF_ENV_FILE": str(self._folder / "no-env.conf"),
        }
        self._names = self._run("epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1")
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and returns when it answers."""
        self._server = self._run(self._script)
        deadline = time.monotonic() + _START_S
        while not self._answers():
            assert self._server.poll() is None, f"RabbitMQ ended: {self._said()}"
            assert time.monotonic() < deadline, f"RabbitMQ does not answer: {self._said()}"
            time.sleep(_PAUSE_S)

    def kill(self) -> None:
        """Kills it, as a power cut would."""
        if self._server is not None:
            _end_group(self._server)
            self._server = None

    def control(self, *words: str) -> str:
        """What rabbitmqctl says to these words."""
        script = Path(self._script).with_name("rabbitmqctl")
        said = subprocess.run([script, *words], env=self._environment, capture_output=True, text=True, check=False)
        assert said.returncode == 0, f"rabbitmqctl {words[0]}: {said.stdout}{said.stderr}"
        return said.stdout

    def add_reader(self, name: str, queues: str) -> SecretStr:
        """The address for a user who may read queues of these names (a pattern), and nothing else."""
        self.control("add_user", name, "word")
        self.control("set_permissions", "-p", "/", name, "^$", "^$", queues)
        return SecretStr(f"amqp://{name}:word@127.0.0.1:{self._port}/")

    def is_flushed(self, since: float) -> bool:
        """Whether it has written down, since that time, which queues there are.

        This server keeps that in memory for some seconds; a new queue that it had not written down when it was killed
        stays without a leader for good.
        """
        files = list((self._folder / "data").rglob("meta.dets"))
        return time.time() > since + 10 or (bool(files) and all(file.stat().st_mtime > since for file in files))

    def remove(self) -> None:
        """Ends it, and removes its data."""
        self.kill()
        _end_group(self._names)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self._folder / "said").open("ab") as said:
            return subprocess.Popen(
                command, env=self._environment, cwd=self._folder, stdout=said, stderr=said, start_new_session=True
            )

    def _answers(self) -> bool:
        """True when it speaks AMQP: it closes a connection that does not, with its own version."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=5) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return len(connection.recv(1)) == 1
        except OSError:
            return False

    def _said(self) -> str:
        return (self._folder / "said").read_text(errors="replace")[-2000:]


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """The process and its children: they are a group of their own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
