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
set plan_cache_mode = force_generic_plan set jit = off set enable_seqscan = off set enable_indexscan = on as $$
#variable_conflict use_column
declare
  task record;
  every record;
  names text[];
  is_satisfying boolean[];
  barred int[] := tasker_engine.barred_channels();
begin
  _now := coalesce(_now, clock_timestamp());
  for task in
    select t.task_id, t.template_id, t.due, t.paused_at is not null as is_paused from unnest(_task_ids) as asked(task_id)
    cross join lateral (select * from tasker_engine.tasks t where t.task_id = asked.task_id offset 0) t order by t.task_id
  loop
    select * into every from tasker_engine.step_arrays(task.task_id, task.template_id, task.due > 0);
    names := every.names;
    is_satisfying := every.is_satisfying;
    return query
    select s.task_id, s.number, p.name || coalesce('_' || m.batch_id, ''), s.state::text, s.waiting = 0, f.is_eligible,
      f.is_open and s.state <> 'in_progress' and s.waiting = 0 and f.is_eligible and not task.is_paused
        and coalesce(f.due_at <= _now, true) and p.channel_id <> all (barred),
      case when s.error is not null and s.state <> 'complete' then s.finished_at end, f.due_at, cardinality(p.parents),
      case when s.number < 65536 and f.batch_left is null then cardinality(p.parents) - s.waiting else cardinality(p.parents) end, s.tries, p.max_attempts,
      case when s.state = 'waiting_for_retry' then date_part('epoch', f.due_at - s.finished_at) end, coalesce(s.started_at, s.granted_at),
      case
        when s.number >= 65536 and s.state = 'pending' and s.waiting > 0 then 'waits for its turn in the batch'
        when s.state = 'pending' and f.batch_left > 0 then 'waits for ' || f.batch_left || ' of its workers'
        when s.state = 'pending' and s.waiting > 0 then
          tasker_engine.waits_for(array(select names[n] from unnest(p.parents) n where not is_satisfying[n] limit 6), s.waiting)
        when f.is_open then tasker_engine.why(s.state, task.is_paused, f.due_at, p.channel_id, s.session_id)
      end
    from tasker_engine.steps s
    cross join lateral (
      select * from tasker_engine.template_steps p where p.template_id = task.template_id and p.number = tasker_engine.plan_number(s.number) offset 0) p
    left join lateral (
      select i.batch_id from tasker_engine.batch_items i where i.task_id = s.task_id and i.number = s.number and s.number >= 65536 offset 0) m on true
    cross join lateral (
      select s.state in ('pending', 'enqueued', 'in_progress', 'waiting_for_retry') as is_open,
        s.tries = 0 or p.is_retryable and s.tries < p.max_attempts as is_eligible,
        case when s.state in ('waiting_for_retry', 'pending') then every.due_at[array_position(every.due_numbers, s.number)] end as due_at,
        case when p.batch is not null and s.attempt > 0 then (
          select b.total - b.succeeded - b.failed from tasker_engine.batches b where b.task_id = s.task_id and b.number = s.number)
        end as batch_left) f
    where s.task_id = task.task_id
    order by s.number;
  end loop;
end $$;
