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

    python bench/peers/run.py --peers tasker,restate --cells S1,S5 --repeats 3 --out build/mine.jsonl
    python bench/peers/page.py build/mine.jsonl --docs build

measures a part, and makes a page of it elsewhere. A peer is a module of about a hundred lines
(`bench/peers/*_peer.py`): whoever knows one better is welcome to make it faster.
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

METHODS: Mapping[str, str] = {
    "S1": "From the call that submits until the submitter knows that the task is complete; one at a time, worker and "
    "client in one process where a peer can.",
    "S2": "Tasks are submitted for two seconds so that the peer always has some hundreds of them (its `WINDOW`); "
    "the clock stops when its store calls the last one complete. Submitting is part of it. Each worker is a process.",
    "S3": "As S1, with two worker processes where a peer has such.",
    "S4": "While nobody works: one by one, then 500 a call, or a call each where a peer has none for many.",
    "S5": "From the call that submits until the handler begins, in a worker process that has nothing else to do.",
    "S6": "First the peer shows what it can do; then chains come at half, or four fifths, of that, on time and whether "
    "it keeps up or not. The time of each runs from the moment at which it was due.",
    "S7": "As S2 for four seconds, while another session holds a snapshot open: the rate of the last third as a share "
    "of the first third's.",
    "S8": "40 chains whose steps last 200 ms. A worker with steps under way is killed and another put in its place: "
    "the seconds until all that it had under way was begun again. Or PostgreSQL is stopped and started: the seconds "
    "until a step begins once it answers. Leases are the defaults unless a "
    "name says otherwise. What is not complete "
    "when nothing has moved for 45 seconds is counted as such: some peers go on only when their process starts anew.",
    "S9": "As S2, five times over in tables with a million finished tasks: copies of one that has run. The clock stops "
    "when the last handler has ended; that the store has all of them as complete is asked afterwards.",
    "S10": "As S2, two worker processes: with a step of each tenth task that fails once and is retried at once, and "
    "with inputs and results of a given size in each step.",
    "S11": "As S2 with tasks of one step, which is what plain queues are for.",
}
"""How each scenario is measured."""

COSTS_TEXT = (
    "What 1,000 steps cost: CPU time of everything (the peer's processes, PostgreSQL, brokers and servers), and what "
    "PostgreSQL counted. What others write into logs of their own is not in it."
)

WHY: Mapping[tuple[str, str], str] = {
    ("S11", "celery-redis"): "it writes one line to a log for each message, and keeps neither inputs nor history.",
    (
        "S11",
        "celery-rabbitmq",
    ): "a broker keeps messages, not tasks: there is no row, no history, nothing to ask later.",
}
"""By cell or scenario, and peer: why that one is ahead."""
