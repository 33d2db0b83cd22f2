"""Broken variants of what breakers do."""

from __future__ import annotations

from support import stories_of_breakers
from support.mutants import Mutant

BREAKER_MUTANTS = [
    Mutant(
        "a claim that does not see a breaker",
        "barred_channels",
        "where b.state <> 'closed'",
        "where false",
        stories_of_breakers.a_system_is_down,
        "guard",
    ),
    Mutant(
        "a hand-over past a breaker",
        "tell_breakers",
        "from tasker_engine.passable(channels, pools) p",
        "from (select channels, pools) p",
        stories_of_breakers.a_successor_needs_it,
        "guard",
    ),
    Mutant(
        "a breaker that never opens",
        "count_signals",
        "breaker.failures >= limits.failure_threshold",
        "false",
        stories_of_breakers.a_system_is_down,
        "breakers",
    ),
    Mutant(
        "probes that nobody counts",
        "take_probes",
        "- (select count(*) from tasker_engine.breaker_probes p where p.breaker_id = breaker.breaker_id)::int",
        "",
        stories_of_breakers.two_workers_probe,
        "breakers",
    ),
    Mutant(
        "a move without a history",
        "move_breaker",
        "moves = b.moves + (_after.state <> _before.state or _actor is not null)::int",
        "moves = b.moves",
        stories_of_breakers.it_comes_back,
        "breakers",
    ),
    Mutant(
        "failures of the past",
        "count_signals",
        "and signal.granted_at >= before.changed_at",
        "",
        stories_of_breakers.what_is_over_fails,
    ),
]
