-- regrant: after a lost reply. Under the session's lock it compares what the worker holds with what the session owns: what
-- it owns but does not hold is handed out again under the same attempt, what it holds but does not own is `gone`.
create or replace function tasker_engine.regrant(_session int, _task_ids uuid[], _numbers int[], _attempts int[])
returns setof tasker_engine.reply language plpgsql as $$
#variable_conflict use_column
declare
  is_alive boolean := tasker_engine.turn_lock(_session);
  lost_tasks uuid[];
  lost_numbers int[];
begin
  if not is_alive then
    return query select 'session_ended', null::uuid, null::int, null::int, null::int, null::int, null::text, null::json;
  end if;
  return query
  select 'gone', h.task_id, h.number, h.attempt, null::int, null::int, null::text, null::json
  from unnest(_task_ids, _numbers, _attempts) as h(task_id, number, attempt)
  where not exists (
    select from tasker_engine.steps s where s.task_id = h.task_id and s.number = h.number and s.state = 'in_progress'
      and s.attempt = h.attempt and s.session_id = _session);
  select array_agg(o.task_id), array_agg(o.number) into lost_tasks, lost_numbers
  from tasker_engine.held_steps(_session) o
  join tasker_engine.steps s on s.task_id = o.task_id and s.number = o.number
  where is_alive and not exists (
    select from unnest(_task_ids, _numbers, _attempts) as h(task_id, number, attempt)
    where h.task_id = o.task_id and h.number = o.number and h.attempt = s.attempt);
  if lost_tasks is null then
    return;
  end if;
  return query
  with granted as (
    insert into tasker_engine.grants (session_id, task_ids, numbers) values (_session, lost_tasks, lost_numbers) returning grant_no)
  select 'batch', null::uuid, null::int, null::int, null::int, null::int, grant_no::text, null::json from granted
  union all
  select 'grant', s.task_id, s.number, s.attempt, s.tries, t.template_id, null, case when s.is_suspect or not t.is_checked
    then json_build_object('is_alone', s.is_suspect, 'is_unchecked', not t.is_checked) end
  from unnest(lost_tasks, lost_numbers) as l(task_id, number)
  join tasker_engine.steps s on s.task_id = l.task_id and s.number = l.number
  join tasker_engine.tasks t on t.task_id = s.task_id;
  return query select * from tasker_engine.payloads(lost_tasks, lost_numbers, true);
end $$;

-- held_steps: the steps that a session owns now, each once.
create or replace function tasker_engine.held_steps(_session int) returns table (task_id uuid, number int) language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  select distinct s.task_id, s.number
  from tasker_engine.grants g
  cross join lateral unnest(g.task_ids, g.numbers) as h(task_id, number)
  join tasker_engine.steps s on s.task_id = h.task_id and s.number = h.number
  where g.session_id = _session and s.state = 'in_progress' and s.session_id = _session;
end $$;
