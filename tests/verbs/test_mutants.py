"""Every check can fail: for each invariant there is a broken engine that it finds; none accuses the sound one."""

from __future__ import annotations

import pytest
from support import checker, stories
from support.batch_mutants import BATCH_MUTANTS
from support.breaker_mutants import BREAKER_MUTANTS
from support.engine import Engine
from support.mutants import Mutant, Story, infect, symptoms

pytestmark = [pytest.mark.unchecked, pytest.mark.any_postgres]

MUTANTS = [
    Mutant(
        "a move that does not fit",
        "record_successes",
        "'in_progress', 'complete'",
        "'enqueued', 'complete'",
        stories.one_of_each,
        "moves",
    ),
    Mutant(
        "a move without a number",
        "record_failures",
        "moves = s.moves + 1",
        "moves = s.moves",
        stories.one_of_each,
        "moves",
    ),
    Mutant(
        "a move that no page knows",
        "create_tasks",
        "number, 1, 'pending', case",
        "number, 1, 'error', case",
        stories.one_of_each,
        "moves",
    ),
    Mutant(
        "a key of somebody else",
        "identity_key",
        "'key:' || _idempotency_key",
        "'key:' || lower(_idempotency_key)",
        stories.keys_are_used,
        "identity",
    ),
    Mutant(
        "no session in the fence",
        "record_successes",
        "and s.session_id = _session",
        "",
        stories.a_stranger_reports,
        "fence",
    ),
    Mutant(
        "no attempt in the fence",
        "record_successes",
        "s.attempt = o.attempt",
        "s.attempt >= o.attempt",
        stories.an_old_attempt_reports,
    ),
    Mutant(
        "one try too many",
        "record_failures",
        "s.tries + 1 < ts.max_attempts",
        "s.tries < ts.max_attempts",
        stories.retries_run_out,
        "attempts",
    ),
    Mutant(
        "tries are not counted",
        "record_failures",
        "then 0 else 1 end, moves",
        "then 0 else 0 end, moves",
        stories.one_of_each,
        "attempts",
    ),
    Mutant(
        "an attempt that stays",
        "grant_steps",
        "attempt = s.attempt + 1",
        "attempt = greatest(s.attempt, 1)",
        stories.retries_run_out,
        "attempts",
    ),
    Mutant(
        "a child that does not wait for all",
        "advance",
        "s.waiting = d.parents as is_free",
        "s.waiting >= d.parents as is_free",
        stories.one_of_each,
        "order",
    ),
    Mutant(
        "a due step that nobody finds",
        "record_failures",
        "from recorded where next = 'waiting_for_retry'",
        "from recorded where false",
        stories.one_of_each,
        "witness",
    ),
    Mutant(
        "a step handed back to nobody",
        "record_failures",
        "where next = 'enqueued' and paused_at is null",
        "where false",
        stories.one_of_each,
        "witness",
    ),
    Mutant(
        "a lost step that nobody finds",
        "release_session",
        "where not is_over and paused_at is null",
        "where false",
        stories.a_worker_dies,
        "witness",
    ),
    Mutant(
        "a grant that nobody notes",
        "grant_steps",
        "having count(*) > 0",
        "having false",
        stories.one_of_each,
        "witness",
    ),
    Mutant(
        "a child that counts for nothing",
        "advance",
        "row(task_id, 0, 1, 0, 0)",
        "row(task_id, 0, 0, 0, 0)",
        stories.one_of_each,
        "counters",
    ),
    Mutant(
        "a resolved step that is still due",
        "act_on_step",
        "-is_due::int",
        "0",
        stories.a_waiting_step_is_resolved,
        "counters",
    ),
    Mutant(
        "a failure that does not count",
        "record_failures",
        "case when next = 'error' then 1 else 0 end)",
        "0)",
        stories.one_of_each,
        "counters",
    ),
    Mutant(
        "a state that hides a failure",
        "task_state",
        "when _failed > 0 then",
        "when _failed > 1 then",
        stories.one_of_each,
        "state",
    ),
    Mutant(
        "an end without a time",
        "settle",
        "then _now end",
        "then null::timestamptz end",
        stories.retries_run_out,
        "state",
    ),
    Mutant("a content that is not compared", "check_repeats", "i.context <> w.context", "false", stories.keys_are_used),
    Mutant(
        "bystanders are condemned",
        "release_session",
        "e.is_loss and s.is_suspect and s.started_at is not null",
        "e.is_loss",
        stories.a_worker_dies,
    ),
    Mutant(
        "suspects are not marked",
        "release_session",
        "s.is_suspect or j.is_loss and s.attempt - s.tries > tasker_engine.setting('losses_forgiven')",
        "false",
        stories.a_worker_dies,
    ),
    Mutant("no fresh leases", "sweep", "_now - last_swept > half_lease", "false", stories.the_database_was_away),
    Mutant("a report that waits", "hold_tasks", "skip locked", "", stories.a_busy_task_is_reported),
    Mutant(
        "a claim that does not look", "grant_steps", "and s.state = 'enqueued'", "", stories.a_cancelled_task_is_claimed
    ),
    Mutant(
        "a pause that is not seen",
        "advance",
        "is_free and paused_at is null and pool",
        "is_free and pool",
        stories.a_paused_task_goes_on,
    ),
    Mutant(
        "a resumption that forgets",
        "requeue_task",
        "s.state = 'pending' and s.waiting = 0",
        "false",
        stories.a_paused_task_goes_on,
        "witness",
    ),
    Mutant(
        "a due row of an older attempt",
        "promote_due",
        "d.attempt = s.attempt as is_current",
        "true as is_current",
        stories.an_old_due_row_comes_up,
    ),
    Mutant("a lost reply that stays lost", "held_steps", "s.state = 'in_progress'", "false", stories.a_reply_is_lost),
    Mutant(
        "an action without a memory", "act", "where a.act_id = _act_id", "where false", stories.an_action_is_repeated
    ),
    Mutant(
        "a wish that is not heard", "record_failures", "nullif(o.retry_after_s, 'NaN')", "null", stories.a_server_wishes
    ),
    Mutant("no look below the bound", "lift_strays", "r.seq < b.bound", "false", stories.a_transaction_was_open),
    Mutant(
        "a time that is not waited for",
        "create_tasks",
        "p.is_root and m.born_at <= _now as is_ready",
        "p.is_root as is_ready",
        stories.a_task_is_scheduled,
    ),
    Mutant(
        "old tasks wait", "advance", "(select urgent_at from head), true)", "null, true)", stories.an_older_task_waits
    ),
    Mutant("no shares", "take_from_heads", "total / head.namespaces", "total", stories.a_namespace_is_noisy),
    Mutant(
        "what nobody can run fails",
        "fail_unserved",
        "if not exists (",
        "if false and not exists (",
        stories.nobody_works,
    ),
    Mutant(
        "the clock runs from the grant",
        "fail_overdue",
        "s.started_at + ",
        "s.granted_at + ",
        stories.a_step_waits_in_its_worker,
    ),
    Mutant(
        "a branch that lingers",
        "decide",
        "m.passed >= cardinality(ts.parents)",
        "false",
        stories.a_branch_is_not_chosen,
        "routes",
    ),
    Mutant(
        "a convergence that goes with its branches",
        "decide",
        "and not (ts.type = 'deferred_convergence'",
        "and not (false",
        stories.no_branch_is_chosen,
        "routes",
    ),
    Mutant(
        "a choice of strangers",
        "refuse_decisions",
        "refused.chosen <@ refused.choices",
        "true",
        stories.a_choice_is_wrong,
    ),
    Mutant("a key for ever", "hold_identities", "i.expires_at <= _now", "false", stories.a_key_expires),
    Mutant(
        "an older attempt hides the newer",
        "regrant",
        "h.attempt = s.attempt);",
        "true);",
        stories.a_worker_holds_an_older_attempt,
    ),
]

MUTANTS.extend([*BATCH_MUTANTS, *BREAKER_MUTANTS])
STORIES: dict[str, Story] = {mutant.story.__name__: mutant.story for mutant in MUTANTS}


@pytest.mark.parametrize("story", STORIES)
async def test_no_story_accuses_the_sound_engine(engine: Engine, story: str) -> None:
    """Each story ends well, and the checker finds nothing after it."""
    assert await symptoms(engine, STORIES[story]) == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
async def test_a_broken_engine_is_found_out(engine: Engine, mutant: Mutant) -> None:
    """The story fails on the broken engine, or the checker names the invariant that is broken."""
    await infect(engine, mutant)
    found = await symptoms(engine, mutant.story)
    assert found, f"nobody notices {mutant.name}"
    if mutant.broken is not None:
        assert any(symptom.startswith(f"{mutant.broken}:") for symptom in found), found


def test_every_invariant_has_its_mutant() -> None:
    """Each name that the checker may say is said of some broken engine."""
    documented = {line.split("`")[1] for line in (checker.__doc__ or "").splitlines() if line.startswith("- `")}
    assert {mutant.broken for mutant in MUTANTS if mutant.broken} == documented
