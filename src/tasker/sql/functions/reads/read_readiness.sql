-- read_readiness: what keeps each step of these tasks from running, or nothing. From counters: no parent is looked at, but
-- to name those that a step still waits for.
--
-- ready_for_execution: a worker may take it this moment. tries: executions that count. backoff_s: the wait that the last
-- failure asked for. last_failure_at: null again once a later try has succeeded. why: a sentence for people.
create or replace function tasker_engine.read_readiness(_task_ids uuid[], _now timestamptz default null)
returns table (
  task_id uuid, number int, name text, state text, dependencies_satisfied boolean, retry_eligible boolean,
  ready_for_execution boolean, last_failure_at timestamptz, next_retry_at timestamptz, total_parents int,
  completed_parents int, tries int, max_attempts int, backoff_s double precision, last_attempted_at timestamptz, why text)
language plpgsql stable
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1 set from_collapse_limit = 1 set jit = off
set enable_seqscan = off set enable_indexscan = off set enable_indexonlyscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
begin
  _now := coalesce(_now, clock_timestamp());
  return query
  with facts as materialized (
    select s.task_id, s.number, p.name, s.state, s.waiting, s.tries, p.max_attempts, p.channel_id, p.parents, s.session_id,
      s.error is not null and s.state <> 'complete' as has_failed, s.finished_at, coalesce(s.started_at, s.granted_at) as attempted_at,
      t.paused_at is not null as is_paused, s.tries = 0 or p.is_retryable and s.tries < p.max_attempts as is_eligible,
      case when s.state in ('waiting_for_retry', 'pending') and s.waiting = 0 then tasker_engine.due_at(s.task_id, s.number, s.attempt) end as due_at,
      case when s.state = 'pending' and s.waiting > 0
        then array(select every.names[n] from unnest(p.parents) n where not every.is_satisfying[n] limit 6) end as unmet
    from unnest(_task_ids) as asked(task_id)
    join tasker_engine.tasks t on t.task_id = asked.task_id
    cross join lateral tasker_engine.step_flags(t.task_id, t.template_id) every
    join tasker_engine.steps s on s.task_id = t.task_id
    join tasker_engine.template_steps p on p.template_id = t.template_id and p.number = s.number)
  select f.task_id, f.number, f.name, f.state::text, f.waiting = 0, f.is_eligible,
    f.state in ('pending', 'enqueued', 'waiting_for_retry') and f.waiting = 0 and f.is_eligible and not f.is_paused
      and coalesce(f.due_at <= _now, true),
    case when f.has_failed then f.finished_at end, f.due_at, cardinality(f.parents), cardinality(f.parents) - f.waiting,
    f.tries, f.max_attempts,
    case when f.state = 'waiting_for_retry' then extract(epoch from f.due_at - f.finished_at)::double precision end, f.attempted_at,
    case when f.state not in ('complete', 'error', 'cancelled', 'resolved_manually')
      then tasker_engine.why(f.state, f.is_paused, f.waiting, f.due_at, f.channel_id, f.session_id, f.unmet) end
  from facts f
  order by f.task_id, f.number;
end $$;
