"""Two hosts with a wire between them: the database on one, a worker on the other, and the wire is cut.

The second host is a network namespace of this machine. What is cut is a link, so that packets are lost and nobody is
told, as behind a switch that has failed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fleet import HERE, SHORT_TIMES, Fleet, all_ended, ask, flow, violations
from support.proxy import Proxy
from support.until import until
from survival_handlers import LEDGER

pytestmark = pytest.mark.any_postgres

LEASE_S = 1.5


class OtherHost:
    """A namespace with a wire to this one; `here` is this end's address."""

    def __init__(self, number: int) -> None:
        self._name, self._wire = f"tasker{number}", f"tk{number}"
        block = f"10.{200 + number % 50}.{number // 50 % 250}"
        self.here = f"{block}.1"
        self._address = f"{block}.2"
        self._processes: list[subprocess.Popen[bytes]] = []

    def connect(self) -> None:
        """Makes the host and the wire."""
        far = f"{self._wire}f"
        for words in (
            f"netns add {self._name}",
            f"link add {self._wire} type veth peer name {far}",
            f"link set {far} netns {self._name}",
            f"addr add {self.here}/30 dev {self._wire}",
            f"link set {self._wire} up",
            f"-n {self._name} addr add {self._address}/30 dev {far}",
            f"-n {self._name} link set {far} up",
            f"-n {self._name} link set lo up",
        ):
            _ip(words)

    def cut(self) -> None:
        """Nothing passes the wire any more."""
        _ip(f"link set {self._wire} down")

    def heal(self) -> None:
        """It passes again."""
        _ip(f"link set {self._wire} up")

    def start(self, words: list[str], environment: dict[str, str]) -> None:
        """Starts a process there."""
        command = ["ip", "netns", "exec", self._name, *words]
        self._processes.append(subprocess.Popen(command, env=environment))

    def disconnect(self) -> None:
        """Ends what runs there, and the host."""
        for process in self._processes:
            process.kill()
            process.wait(60)
        subprocess.run(["ip", "link", "del", self._wire], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self._name], check=False, capture_output=True)


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, capture_output=True)


@pytest.fixture
def other_host() -> Iterator[OtherHost]:
    """Another host, where this machine lets us make one."""
    if shutil.which("ip") is None:
        pytest.skip("ip is not installed: apt-get install iproute2")
    host = OtherHost(os.getpid())
    try:
        host.connect()
        yield host
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine lets nobody make a network: {error.stderr.decode().strip()}")
    finally:
        host.disconnect()


@pytest.mark.slow
async def test_a_cut_wire_loses_nothing(fleet: Fleet, client: Callable[..., Any], other_host: OtherHost) -> None:
    """The wire is cut for more than two leases while ten steps run on the other host: they run here meanwhile, what the
    other host brings when the wire is whole again is refused, and it goes on working."""
    with Proxy(fleet.dsn, host=other_host.here) as proxy:
        tasker = await client(fleet.dsn, [flow("flow", "linger"), flow("after", "walk")])
        other_host.start(
            [sys.executable, "-m", "tasker", "worker", "--handlers", "survival_handlers", "--database-url", proxy.dsn],
            {
                **os.environ,
                **SHORT_TIMES,
                "PYTHONPATH": f"{HERE}:{HERE.parent}",
                LEDGER: str(fleet.ledger.path),
                "TASKER_LEASE_S": str(LEASE_S),
            },
        )
        await fleet.ready(1)
        contexts = [{"n": n, "first_s": 2 * LEASE_S} for n in range(10)]
        tasks = [task.task_uuid for task in await tasker.submit_many("flow", contexts, namespace="tests")]
        await until(lambda: fleet.ledger.count("start") == 10, "all run on the other host")
        [nearby] = fleet.start(TASKER_LEASE_S=str(LEASE_S))
        await fleet.ready(2)
        other_host.cut()
        cut_at = time.monotonic()
        await all_ended(fleet.dsn, tasks, within_s=90)
        await until(lambda: time.monotonic() - cut_at > 2 * LEASE_S, "two leases are over")
        other_host.heal()
        refused = "select coalesce(sum(stale_outcomes), 0) from tasker_engine.sessions"
        await until(lambda: ask(fleet.dsn, refused)[0][0] == 10, "ten late results were refused", within_s=60)
        assert ask(fleet.dsn, "select distinct attempt, losses from tasker_engine.steps") == [(2, 0)]
        await fleet.kill(nearby)
        after = await tasker.submit("after", context={"n": 1}, namespace="tests")
        await all_ended(fleet.dsn, [after.task_uuid], within_s=60)
        assert violations(fleet.dsn, fleet.ledger, [*tasks, after.task_uuid]) == []
