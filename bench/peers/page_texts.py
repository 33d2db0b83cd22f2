"""What the page says in words."""

from __future__ import annotations

from collections.abc import Mapping

INTRODUCTION = """# Side by side with the field

This page is made by `bench/peers/page.py` from the lines in `bench/results/peers`; do not edit it. `make bench-peers`
runs all of it again on your machine, and says before it begins how long it takes.

The rules: one machine, one PostgreSQL with the same settings for all (`fsync`, `synchronous_commit` and
`full_page_writes` on), a new database for every figure, the peers in turn and not one after the other, the same empty
handlers, each peer's documented interface in its defaults unless its name says otherwise. A rate ends when the peer's
own store calls the last task complete. Nobody is left out for being fast.
"""

SCENARIOS: Mapping[str, str] = {
    "S1": "one task alone",
    "S2": "as many chains as there can be",
    "S3": "out to many and in again",
    "S4": "submitting",
    "S5": "picked up by an idle worker",
    "S6": "a given load",
    "S7": "while a snapshot is open",
    "S8": "when something dies",
    "S9": "with a million finished tasks in the tables",
    "S10": "failures and payloads",
    "S11": "plain jobs",
}

COSTS_TEXT = (
    "What 1,000 steps cost: CPU time of everything (the peer's processes, PostgreSQL, brokers and servers), and what "
    "PostgreSQL counted."
)

WHY: Mapping[tuple[str, str], str] = {
    ("S11", "celery-redis"): "it writes one line to a log for each message, and keeps neither inputs nor history.",
    (
        "S11",
        "celery-rabbitmq",
    ): "a broker keeps messages, not tasks: there is no row, no history, nothing to ask later.",
}
"""By cell or scenario, and peer: why that one is ahead."""
