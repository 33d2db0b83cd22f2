-- read_contexts: the state of tasks in figures: how many steps stand where, what that means, and what to do about it.
--
-- ready: steps that a worker may take now. completed: complete and resolved by hand. One plan for every connection, as read_tasks.
create or replace function tasker_engine.read_contexts(_task_ids uuid[], _now timestamptz default null)
returns table (
  task_id uuid, state text, is_paused boolean, total int, pending int, ready int, in_progress int, waiting_for_retry int,
  completed int, failed int, cancelled int, execution_status text, recommended_action text,
  completion_percentage double precision, health_status text)
language plpgsql stable
set plan_cache_mode = force_generic_plan set jit = off set enable_seqscan = off set enable_indexscan = on
set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
begin
  _now := coalesce(_now, clock_timestamp());
  return query
  with counted as (
    select t.task_id, t.state, t.paused_at is not null as is_paused, c.*
    from unnest(_task_ids) as asked(task_id)
    cross join lateral (select * from tasker_engine.tasks t where t.task_id = asked.task_id offset 0) t
    cross join lateral (
      select array_agg(d.number) as numbers, array_agg(d.due_at) as due_at
      from tasker_engine.due d
      cross join lateral (
        select from tasker_engine.steps s where s.task_id = d.task_id and s.number = d.number and s.attempt = d.attempt offset 0) s
      where d.task_id = t.task_id and t.due > 0) every
    cross join lateral (
      select count(*)::int as total,
        count(*) filter (where s.state = 'pending')::int as pending,
        count(*) filter (where t.paused_at is null and s.waiting = 0 and (s.state = 'enqueued'
          or s.state in ('pending', 'waiting_for_retry') and every.due_at[array_position(every.numbers, s.number)] <= _now))::int as ready,
        count(*) filter (where s.state = 'in_progress')::int as in_progress,
        count(*) filter (where s.state = 'waiting_for_retry')::int as waiting_for_retry,
        count(*) filter (where s.state in ('complete', 'resolved_manually'))::int as completed,
        count(*) filter (where s.state = 'error')::int as failed,
        count(*) filter (where s.state = 'cancelled')::int as cancelled
      from tasker_engine.steps s where s.task_id = asked.task_id) c),
  judged as (
    select c.*, tasker_engine.execution_status(c.failed, c.ready, c.in_progress, c.completed, c.total) as execution_status
    from counted c)
  select j.task_id, j.state::text, j.is_paused, j.total, j.pending, j.ready, j.in_progress, j.waiting_for_retry, j.completed,
    j.failed, j.cancelled, j.execution_status,
    case when j.state not in ('complete', 'cancelled', 'resolved_manually') then tasker_engine.recommended_action(j.execution_status) end,
    round(100.0 * j.completed / j.total, 2)::double precision,
    case
      when j.state in ('cancelled', 'resolved_manually') then 'unknown'
      when j.failed > 0 and j.ready + j.in_progress + j.waiting_for_retry = 0 then 'blocked'
      when j.failed + j.waiting_for_retry > 0 then 'recovering'
      else 'healthy'
    end
  from judged j
  order by j.task_id;
end $$;

-- execution_status: one word for all counts; failures come before everything else.
create or replace function tasker_engine.execution_status(_failed int, _ready int, _in_progress int, _completed int, _total int)
returns text language sql immutable as $$
  select case
    when _failed > 0 then 'blocked_by_failures'
    when _ready > 0 then 'has_ready_steps'
    when _in_progress > 0 then 'processing'
    when _completed = _total then 'all_complete'
    else 'waiting_for_dependencies'
  end
$$;

create or replace function tasker_engine.recommended_action(_execution_status text) returns text language sql immutable as $$
  select case _execution_status
    when 'blocked_by_failures' then 'handle_failures'
    when 'has_ready_steps' then 'execute_ready_steps'
    when 'processing' then 'wait_for_completion'
    when 'all_complete' then 'finalize_task'
    else 'wait_for_dependencies'
  end
$$;
