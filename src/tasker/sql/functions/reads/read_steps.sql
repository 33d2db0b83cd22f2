-- read_steps: the steps of tasks, by task and number.
--
-- dependencies: names of the parents; waiting_for: those of them that do not satisfy the step yet. next_retry_at: when a
-- postponed step comes due. holder: the worker that runs it now (session_uuid, name, host, pid).
create or replace function tasker_engine.read_steps(_task_ids uuid[])
returns table (
  task_id uuid, number int, step_uuid uuid, name text, handler text, queue text, state text, attempt int, tries int, losses int,
  max_attempts int, is_retryable boolean, timeout_s double precision, dependencies text[], waiting int, waiting_for text[],
  is_suspect boolean, granted_at timestamptz, started_at timestamptz, finished_at timestamptz, next_retry_at timestamptz,
  holder jsonb, result jsonb, error jsonb)
language plpgsql stable
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1 set jit = off
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set enable_indexscan = on set enable_indexonlyscan = on as $$
#variable_conflict use_column
begin
  return query
  select s.task_id, s.number, tasker_engine.step_uuid(s.task_id, s.number), p.name, c.handler, c.queue, s.state::text, s.attempt,
    s.tries, s.losses, p.max_attempts, p.is_retryable, p.timeout_s,
    array(select above.name from unnest(p.parents) with ordinality as parent(number, place)
          join tasker_engine.template_steps above on above.template_id = p.template_id and above.number = parent.number
          order by parent.place),
    s.waiting,
    case when s.state = 'pending' and s.waiting > 0 then tasker_engine.unmet_parents(s.task_id, p.template_id, p.parents) else '{}' end,
    s.is_suspect, s.granted_at, s.started_at, s.finished_at,
    case when s.state = 'waiting_for_retry' or s.state = 'pending' and p.parents = '{}' then (
      select d.due_at from tasker_engine.due d where d.task_id = s.task_id and d.number = s.number and d.attempt = s.attempt) end,
    case when s.state = 'in_progress' then (
      select jsonb_build_object('session_uuid', w.session_uuid, 'name', w.name, 'host', w.host, 'pid', w.pid)
      from tasker_engine.sessions w where w.session_id = s.session_id) end,
    s.result, s.error
  from unnest(_task_ids) as asked(task_id)
  join tasker_engine.tasks t on t.task_id = asked.task_id
  join tasker_engine.steps s on s.task_id = t.task_id
  join tasker_engine.template_steps p on p.template_id = t.template_id and p.number = s.number
  join tasker_engine.channels c on c.channel_id = p.channel_id
  order by s.task_id, s.number;
end $$;

-- unmet_parents: the names of the parents that do not satisfy a step yet.
create or replace function tasker_engine.unmet_parents(_task_id uuid, _template_id int, _parents int[]) returns text[]
language plpgsql stable as $$
begin
  return array(
    select p.name from unnest(_parents) with ordinality as parent(number, place)
    join tasker_engine.steps s on s.task_id = _task_id and s.number = parent.number
    join tasker_engine.template_steps p on p.template_id = _template_id and p.number = parent.number
    where s.state not in ('complete', 'resolved_manually')
    order by parent.place);
end $$;
