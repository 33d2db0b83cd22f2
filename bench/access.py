"""What it costs to ask who calls, and to confine callers to their namespaces.

    python bench/access.py [--steps 1000] [--rounds 200]

Proofs are checked in memory, as they are for all but the first request within seconds. Reads and submits go to the
database as its owner and as a confined caller, in turn, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

from tasker.embedded import start_private
from tasker.model.ids import uuid7
from tasker.server.auth.api_keys import ApiKeys
from tasker.server.auth.issuing import new_private_key, signed_token
from tasker.server.auth.keys import new_key, server_secret
from tasker.server.auth.public_keys import FixedKeys, from_jwk
from tasker.server.auth.tokens import TokenRules, Tokens
from tasker.store.access import FoundKey
from tasker.store.confined import ConfinedVerbs, Confinement
from tasker.store.connection import Connection, connect
from tasker.store.migrate import migrate
from tasker.store.reads import Reads
from tasker.store.verbs import Submit, Verbs
from tasker.templates import load_text
from tasker.templates.publishing import publish

Work = Callable[[], Awaitable[Any]]


async def timed(work: Work) -> float:
    """Milliseconds that it takes."""
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) * 1000


async def proofs(rounds: int) -> None:
    """A known API key, and tokens of each algorithm."""
    key, secret = new_key(), server_secret("s" * 32)
    found = FoundKey(key.key_id, "bench", secret.digest(key), secret.name, ("tasks:*",), (), None, None, False, 0.0)

    async def ask(work: Any, /) -> Any:
        return found

    keys: Any = ApiKeys(None, ask, secrets=(secret,), roles={}, cache_s=5)  # type: ignore[arg-type] - nothing is asked
    checks: dict[str, Work] = {"an API key": lambda: keys.principal(key.text)}
    for algorithm in ("RS256", "ES256", "EdDSA"):
        private: Any = new_private_key(algorithm)
        rules = TokenRules(algorithms=frozenset({algorithm}), issuer="i", audience="a")
        tokens = Tokens(FixedKeys([from_jwk(private.as_dict(private=False))]), rules, roles={})
        text = signed_token(private, {"iss": "i", "aud": "a", "sub": "s", "namespaces": ["n"]}, lifetime_s=3600)
        checks[f"a token, {algorithm}"] = lambda tokens=tokens, text=text: tokens.principal(text)
    for name, check in checks.items():
        print(f"{name:<28}{median([await timed(check) for _ in range(rounds)]) * 1000:10.0f} µs")


async def confined(dsn: str, steps: int, rounds: int) -> None:
    """The same reads and submits as the owner and as a confined caller, and their ratio."""
    connection = await connect(dsn, pinned=False)
    await migrate(connection)
    task = await _task_of(connection, steps)
    reads, verbs, confinement = Reads(), Verbs(), Confinement()
    asked: dict[str, Work] = {
        f"task with {steps} steps": lambda: reads.task_view(connection, task),
        f"readiness of {steps} steps": lambda: reads.readiness(connection, [task]),
        f"summary of {steps} steps": lambda: reads.summaries(connection, [task]),
        "list of templates": lambda: reads.templates(connection),
    }

    def inside(work: Work) -> Work:
        async def run() -> None:
            async with confinement.transaction(connection, ["bench"]):
                await work()

        return run

    def submit(by: Verbs) -> Work:
        return lambda: by.submit(connection, Submit("bench", "one", None, [uuid7()], ["{}"]))

    pairs = {name: (work, inside(work)) for name, work in asked.items()}
    pairs["submit of one task"] = (submit(verbs), submit(ConfinedVerbs(["bench"])))
    print(f"\n{'':<28}{'owner':>10}{'confined':>10}{'ratio':>8}")
    for name, (plain, held) in pairs.items():
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for work, spent in zip((plain, held), times, strict=True):
                spent.append(await timed(work))
        one, two = map(median, times)
        print(f"{name:<28}{one:8.2f}ms{two:8.2f}ms{two / one:8.2f}")
    await connection.close()


async def _task_of(connection: Connection, steps: int) -> UUID:
    """A task whose steps wait for the first."""
    verbs, head = Verbs(), "tasker: 1\nnamespace_name: bench\nversion: 1.0.0\n"
    wide = "".join(f"  - {{name: s{n}, handler: h, dependencies: [first]}}\n" for n in range(steps - 1))
    texts = [
        f"{head}name: {name}\nsteps:\n  - {{name: first, handler: h}}\n{more}"
        for name, more in (("one", ""), ("wide", wide))
    ]
    for text in texts:
        await publish(connection, verbs, load_text(text).template)
    return (await verbs.submit(connection, Submit("bench", "wide", None, [uuid7()], ["{}"])))[0].task_id


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    asyncio.run(proofs(options.rounds))
    with tempfile.TemporaryDirectory() as folder, start_private(Path(folder)) as server:
        asyncio.run(confined(server.dsn, options.steps, options.rounds))


if __name__ == "__main__":
    main()
