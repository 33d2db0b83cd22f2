-- read_steps: the steps of tasks, by task and number.
--
-- dependencies: names of the parents; waiting_for: those of them that do not satisfy the step yet. next_retry_at: when a
-- postponed step comes due. holder: the worker that runs it now (session_uuid, name, host, pid).
create or replace function tasker_engine.read_steps(_task_ids uuid[])
returns table (
  task_id uuid, number int, name text, handler text, queue text, state text, attempt int, tries int, losses int,
  max_attempts int, is_retryable boolean, timeout_s double precision, dependencies text[], waiting int, waiting_for text[],
  is_suspect boolean, granted_at timestamptz, started_at timestamptz, finished_at timestamptz, next_retry_at timestamptz,
  holder jsonb, result jsonb, error jsonb)
language plpgsql stable
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1 set from_collapse_limit = 1 set jit = off
set enable_seqscan = off set enable_indexscan = off set enable_indexonlyscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
begin
  return query
  select s.task_id, s.number, p.name, c.handler, c.queue, s.state::text, s.attempt,
    s.tries, s.losses, p.max_attempts, p.is_retryable, p.timeout_s,
    case when p.parents = '{}' then '{}' else array(select every.names[n] from unnest(p.parents) n) end,
    s.waiting,
    case when s.state = 'pending' and s.waiting > 0
      then array(select every.names[n] from unnest(p.parents) n where not every.is_satisfying[n]) else '{}' end,
    s.is_suspect, s.granted_at, s.started_at, case when s.state not in ('pending', 'enqueued', 'in_progress') then s.finished_at end,
    case when s.state in ('waiting_for_retry', 'pending') and s.waiting = 0 then tasker_engine.due_at(s.task_id, s.number, s.attempt) end,
    case when s.state = 'in_progress' then (
      select jsonb_build_object('session_uuid', w.session_uuid, 'name', w.name, 'host', w.host, 'pid', w.pid)
      from tasker_engine.sessions w where w.session_id = s.session_id) end,
    s.result, s.error
  from unnest(_task_ids) as asked(task_id)
  join tasker_engine.tasks t on t.task_id = asked.task_id
  cross join lateral tasker_engine.step_flags(t.task_id, t.template_id) every
  join tasker_engine.steps s on s.task_id = t.task_id
  join tasker_engine.template_steps p on p.template_id = t.template_id and p.number = s.number
  join tasker_engine.channels c on c.channel_id = p.channel_id
  order by s.task_id, s.number;
end $$;

-- step_flags: of all steps of a task, by number, the names and whether each satisfies its children. Numbers run from 1.
create or replace function tasker_engine.step_flags(_task_id uuid, _template_id int, out names text[], out is_satisfying boolean[])
language plpgsql stable as $$
begin
  select array_agg(p.name order by p.number) into names from tasker_engine.template_steps p where p.template_id = _template_id;
  select array_agg(s.state in ('complete', 'resolved_manually') order by s.number) into is_satisfying
  from tasker_engine.steps s where s.task_id = _task_id;
end $$;

-- due_at: when a postponed step comes due; null where it waits for no time.
create or replace function tasker_engine.due_at(_task_id uuid, _number int, _attempt int) returns timestamptz
language plpgsql stable as $$
begin
  return (select min(d.due_at) from tasker_engine.due d
          where d.task_id = _task_id and d.number = _number and d.attempt = _attempt);
end $$;
