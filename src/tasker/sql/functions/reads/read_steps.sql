-- read_steps: the steps of tasks, by task and number.
--
-- dependencies: names of the parents; waiting_for: those of them that do not satisfy the step yet. next_retry_at: when a
-- postponed step comes due. holder: the worker that runs it now (session_uuid, name, host, pid). One plan, as read_tasks. The
-- names are in a variable because there an element is found at once, and in a column only by passing all before it. A step that
-- no decision chose has the state `not_taken`, and comes after the others.
create or replace function tasker_engine.read_steps(_task_ids uuid[])
returns table (
  task_id uuid, number int, name text, handler text, queue text, state text, attempt int, tries int, losses int,
  max_attempts int, is_retryable boolean, timeout_s double precision, dependencies text[], waiting int, waiting_for text[],
  is_suspect boolean, granted_at timestamptz, started_at timestamptz, finished_at timestamptz, next_retry_at timestamptz,
  holder jsonb, result jsonb, error jsonb)
language plpgsql stable
set plan_cache_mode = force_generic_plan set jit = off set enable_seqscan = off set enable_indexscan = on as $$
#variable_conflict use_column
declare
  task record;
  every record;
  names text[];
  is_satisfying boolean[];
  rows_found int;
begin
  for task in
    select t.task_id, t.template_id, t.due from unnest(_task_ids) as asked(task_id)
    cross join lateral (select * from tasker_engine.tasks t where t.task_id = asked.task_id offset 0) t order by t.task_id
  loop
    select * into every from tasker_engine.step_arrays(task.task_id, task.template_id, task.due > 0);
    names := every.names;
    is_satisfying := every.is_satisfying;
    return query
    select s.task_id, s.number, p.name, c.handler, c.queue, s.state::text, s.attempt, s.tries, s.losses, p.max_attempts,
      p.is_retryable, p.timeout_s, case when p.parents = '{}' then '{}' else array(select names[n] from unnest(p.parents) n) end,
      s.waiting, case when s.state = 'pending' and s.waiting > 0
        then array(select names[n] from unnest(p.parents) n where not is_satisfying[n]) else '{}' end,
      s.is_suspect, s.granted_at, s.started_at, case when s.state not in ('pending', 'enqueued', 'in_progress') then s.finished_at end,
      case when s.state in ('waiting_for_retry', 'pending') then every.due_at[s.number] end,
      case when s.state = 'in_progress' then (
        select jsonb_build_object('session_uuid', w.session_uuid, 'name', w.name, 'host', w.host, 'pid', w.pid)
        from tasker_engine.sessions w where w.session_id = s.session_id) end,
      s.result, s.error
    from tasker_engine.steps s
    cross join lateral (
      select * from tasker_engine.template_steps p where p.template_id = task.template_id and p.number = s.number offset 0) p
    cross join lateral (select * from tasker_engine.channels c where c.channel_id = p.channel_id offset 0) c
    where s.task_id = task.task_id
    order by s.number;
    get diagnostics rows_found = row_count;
    if rows_found < cardinality(names) then
      return query select * from tasker_engine.steps_not_taken(task.task_id, task.template_id, names);
    end if;
  end loop;
end $$;

-- steps_not_taken: those that no decision chose, in the columns of read_steps. They have no rows.
create or replace function tasker_engine.steps_not_taken(_task_id uuid, _template_id int, _names text[])
returns table (
  task_id uuid, number int, name text, handler text, queue text, state text, attempt int, tries int, losses int,
  max_attempts int, is_retryable boolean, timeout_s double precision, dependencies text[], waiting int, waiting_for text[],
  is_suspect boolean, granted_at timestamptz, started_at timestamptz, finished_at timestamptz, next_retry_at timestamptz,
  holder jsonb, result jsonb, error jsonb)
language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  select _task_id, p.number, p.name, c.handler, c.queue, 'not_taken', 0, 0, 0, p.max_attempts, p.is_retryable, p.timeout_s,
    array(select _names[n] from unnest(p.parents) n), 0, '{}'::text[], false, null::timestamptz, null::timestamptz, null::timestamptz,
    null::timestamptz, null::jsonb, null::jsonb, null::jsonb
  from tasker_engine.template_steps p
  join tasker_engine.channels c on c.channel_id = p.channel_id
  where p.template_id = _template_id
    and not exists (select from tasker_engine.steps s where s.task_id = _task_id and s.number = p.number)
  order by p.number;
end $$;

-- step_arrays: of all steps of a task, by number (numbers run from 1): the name, whether it satisfies its children (one that
-- is not taken does), and where something is due, when.
create or replace function tasker_engine.step_arrays(
  _task_id uuid, _template_id int, _is_due boolean, out names text[], out is_satisfying boolean[], out due_at timestamptz[])
language plpgsql stable as $$
begin
  select array_agg(p.name order by p.number) into names from tasker_engine.template_steps p where p.template_id = _template_id;
  select array_agg(coalesce(s.state in ('complete', 'resolved_manually'), true) order by p.number) into is_satisfying
  from tasker_engine.template_steps p
  left join tasker_engine.steps s on s.task_id = _task_id and s.number = p.number where p.template_id = _template_id;
  if _is_due then
    due_at := tasker_engine.due_times(_task_id, cardinality(names));
  end if;
end $$;

-- due_times: by number, when each step of a task comes due; null for one that waits for no time.
create or replace function tasker_engine.due_times(_task_id uuid, _steps int) returns timestamptz[] language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_indexscan = on as $$
declare
  row record;
  times timestamptz[] := array_fill(null::timestamptz, array[_steps]);
begin
  for row in
    select d.number, d.due_at from tasker_engine.due d
    join tasker_engine.steps s on s.task_id = d.task_id and s.number = d.number and s.attempt = d.attempt
    where d.task_id = _task_id
  loop
    times[row.number] := row.due_at;
  end loop;
  return times;
end $$;
