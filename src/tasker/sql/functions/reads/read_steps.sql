-- read_steps: the steps of tasks, by task and number.
--
-- dependencies: names of the parents; waiting_for: those of them that do not satisfy the step yet. next_retry_at: when a
-- postponed step comes due. holder: the worker that runs it now (session_uuid, name, host, pid). One plan, as read_tasks. The
-- names are in a variable because there an element is found at once, and in a column only by passing all before it. A step that
-- no decision chose has the state `not_taken`, and comes after the others. A member of a batch has the name of its batch with its id.
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
begin
  for task in
    select t.task_id, t.template_id, t.due from unnest(_task_ids) as asked(task_id)
    cross join lateral (select * from tasker_engine.tasks t where t.task_id = asked.task_id offset 0) t order by t.task_id
  loop
    select * into every from tasker_engine.step_arrays(task.task_id, task.template_id, task.due > 0);
    names := every.names;
    is_satisfying := every.is_satisfying;
    return query
    select s.task_id, s.number, p.name || coalesce('_' || m.batch_id, ''), c.handler, c.queue, s.state::text, s.attempt, s.tries, s.losses, p.max_attempts,
      p.is_retryable, p.timeout_s, case when p.parents = '{}' then '{}' else array(select names[n] from unnest(p.parents) n) end,
      s.waiting, case when s.number >= 65536 then '{}' when s.state = 'pending' and s.waiting > 0
        then array(select names[n] from unnest(p.parents) n where not is_satisfying[n]) else '{}' end,
      s.is_suspect, s.granted_at, s.started_at, case when s.state not in ('pending', 'enqueued', 'in_progress') then s.finished_at end,
      case when s.state in ('waiting_for_retry', 'pending') then every.due_at[array_position(every.due_numbers, s.number)] end,
      case when s.state = 'in_progress' then (
        select jsonb_build_object('session_uuid', w.session_uuid, 'name', w.name, 'host', w.host, 'pid', w.pid)
        from tasker_engine.sessions w where w.session_id = s.session_id) end,
      s.result, s.error
    from tasker_engine.steps s
    cross join lateral (
      select * from tasker_engine.template_steps p where p.template_id = task.template_id and p.number = tasker_engine.plan_number(s.number) offset 0) p
    left join lateral (
      select i.batch_id from tasker_engine.batch_items i where i.task_id = s.task_id and i.number = s.number and s.number >= 65536 offset 0) m on true
    cross join lateral (select * from tasker_engine.channels c where c.channel_id = p.channel_id offset 0) c
    where s.task_id = task.task_id
    order by s.number;
    if every.is_partial then
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
-- is not taken does), and whether one is not taken. Of all steps where something is due, the numbers, and when.
create or replace function tasker_engine.step_arrays(
  _task_id uuid, _template_id int, _is_due boolean, out names text[], out is_satisfying boolean[], out is_partial boolean,
  out due_numbers int[], out due_at timestamptz[]) language plpgsql stable as $$
begin
  select array_agg(p.name order by p.number), bool_or(s.task_id is null),
    array_agg(coalesce(s.state in ('complete', 'resolved_manually'), true) order by p.number)
  into names, is_partial, is_satisfying
  from tasker_engine.template_steps p
  left join tasker_engine.steps s on s.task_id = _task_id and s.number = p.number where p.template_id = _template_id;
  if _is_due then
    select * into due_numbers, due_at from tasker_engine.due_times(_task_id);
  end if;
end $$;

-- due_times: which steps of a task wait for a time, and when each comes due.
create or replace function tasker_engine.due_times(_task_id uuid, out due_numbers int[], out due_at timestamptz[])
language plpgsql stable set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_indexscan = on as $$
begin
  select array_agg(d.number), array_agg(d.due_at) into due_numbers, due_at from tasker_engine.due d
  join tasker_engine.steps s on s.task_id = d.task_id and s.number = d.number and s.attempt = d.attempt
  where d.task_id = _task_id;
end $$;
