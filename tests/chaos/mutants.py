"""The sixteen mutants: engines that are broken in one place, and the story that finds each of them out.

The list is that of the faults which engines of this kind have had. Where this engine has no such place, `instead` says
which one comes nearest. `python -m chaos --mutant M5` runs rows on a broken engine.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from support import stories
from support.mutants import Story

from chaos import gates

_TEXTS = """select pg_get_functiondef(p.oid) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
            where n.nspname = 'tasker_engine' and p.proname = %s"""


@dataclass(frozen=True)
class Broken:
    """One mutant: the edits that make it (function, right, wrong), its gate, and what stands in for what."""

    name: str
    title: str
    edits: tuple[tuple[str, str, str], ...]
    gate: Story
    instead: str = ""
    invariant: str | None = None
    """What `support.checker` says, where the story itself does not fail."""

    def break_engine(self, dsn: str) -> None:
        """Makes the edits in a database. AssertionError where a function no longer holds what one changes."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            for function, right, wrong in self.edits:
                texts = [row[0] for row in connection.execute(_TEXTS, [function]).fetchall() if right in row[0]]
                assert texts, f"{function} does not hold {right!r} any more: mend {self.name}"
                for text in texts:
                    connection.execute(text.replace(right, wrong))


_FENCE = "and s.state = 'in_progress' and s.attempt = o.attempt and s.session_id = _session"

MUTANTS = {
    one.name: one
    for one in [
        Broken(
            "M1",
            "a lock that does not skip",
            (("pick_head", "for no key update skip locked) s", "for no key update) s"),),
            gates.a_claim_passes_over_what_is_held,
            "the lock lies in a loop over the lane, not in a CTE; what can go wrong with it is that it waits",
        ),
        Broken(
            "M2",
            "an update that does not say from which state",
            (("grant_steps", "and s.state = 'enqueued'", ""),),
            stories.a_cancelled_task_is_claimed,
        ),
        Broken(
            "M3",
            "no lease",
            (("sweep", "e.beat_at + make_interval(secs => e.lease_s) < _now", "false"),),
            gates.a_silent_worker_is_replaced,
            "a grant is no message that could be acknowledged too early; without the lease it would be as lost",
        ),
        Broken(
            "M4",
            "what is to be sent is not written with the outcome",
            (("record_events", "from told w where w.mode <> 'fast')", "from told w where false)"),),
            gates.an_event_is_kept_with_its_outcome,
            "messages only wake; what must not be lost is a domain event",
        ),
        Broken("M5", "no fence for results", (("record_successes", _FENCE, ""),), stories.an_old_attempt_reports),
        Broken(
            "M6",
            "no fence for heartbeats",
            (("beat", "where session_id = _session and ended_at is null", "where session_id = _session"),),
            gates.an_ended_worker_beats,
        ),
        Broken(
            "M7",
            "joins decided without the task's lock",
            (
                (
                    "hold_tasks",
                    "from tasker_engine.tasks t where t.task_id = any (_task_ids) order by t.task_id for no key update"
                    " skip locked);",
                    "from tasker_engine.tasks t where t.task_id = any (_task_ids) order by t.task_id);",
                ),
            ),
            gates.two_parents_are_reported_together,
            "a join is a counter under the lock of its task; what can go wrong is that lock",
        ),
        Broken(
            "M8",
            "a reaper that does not look again",
            (
                ("held_steps", "and s.state = 'in_progress' and s.session_id = _session", ""),
                ("release_session", "and s.state = 'in_progress' and s.session_id = _session", ""),
            ),
            gates.a_reported_step_outlives_its_worker,
        ),
        Broken(
            "M9",
            "the caller's clock for leases",
            (
                (
                    "clock",
                    "return clock_timestamp();",
                    "return clock_timestamp() + make_interval(secs =>"
                    " coalesce(current_setting('tasker.chaos_skew_s', true)::float8, 0));",
                ),
            ),
            gates.a_worker_with_a_wrong_clock_sweeps,
            "no verb takes a time from outside; the mutant gives each connection a clock of its own",
        ),
        Broken(
            "M10",
            "a create that is not idempotent",
            (
                (
                    "submit_tasks",
                    "ids := coalesce(_task_ids, array(select tasker_engine.uuid7(_now) as id from unnest(_contexts)"
                    " order by id));",
                    "ids := array(select tasker_engine.uuid7(_now) as id from unnest(_contexts) order by id);",
                ),
            ),
            gates.a_submit_is_repeated,
        ),
        Broken(
            "M11",
            "a grant that does not raise the attempt",
            (("grant_steps", "attempt = s.attempt + 1", "attempt = greatest(s.attempt, 1)"),),
            gates.attempts_rise,
            "the attempt rises in the statement that grants, and in no second one that could be missing",
        ),
        Broken(
            "M12",
            "a result that counts twice",
            (("record_successes", "and s.state = 'in_progress' and s.attempt", "and s.attempt"),),
            gates.a_result_comes_twice,
        ),
        Broken(
            "M13",
            "an entry without on conflict",
            (("put_in_dlq", "on conflict (task_id) where status = 'pending' do nothing", ""),),
            gates.a_task_fails_twice,
        ),
        Broken(
            "M14",
            "a history that is not written with the move",
            (("record_successes", "_session, _now from recorded)", "_session, _now from recorded where false)"),),
            gates.work_is_done,
            "there is no audit apart from the history",
            "moves",
        ),
        Broken(
            "M15",
            "a state between two hops that nobody sweeps",
            (("sweep", "promoted := tasker_engine.promote_due('-infinity', 500, _now);", "promoted := 0;"),),
            gates.a_begun_task_is_found_late,
            "`initializing` is no state in which anything waits; a task that waits for its time is one",
        ),
    ]
}
"""M16, `synchronous_commit = off`, is a setting and no text: `test_chaos_mutants` has it by itself."""
