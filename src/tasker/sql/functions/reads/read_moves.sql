-- read_moves: what watchers are told: of each step of a task, and of the task (number 0, name null), its last move after a time.
create or replace function tasker_engine.read_moves(_task_id uuid, _after timestamptz)
returns table (
  task_id uuid, namespace text, template text, number int, name text, seq int, to_state text, attempt int, at timestamptz,
  message text)
language plpgsql stable
set plan_cache_mode = force_custom_plan set jit = off set enable_seqscan = off set enable_indexscan = on as $$
#variable_conflict use_column
begin
  return query
  select h.task_id, n.name, t.name, h.number, p.name, h.seq, h.to_state::text, h.attempt, h.at, h.detail ->> 'message'
  from (
    select distinct on (h.number) h.* from tasker_engine.transitions h
    where h.task_id = _task_id and h.at > _after order by h.number, h.seq desc) h
  join tasker_engine.tasks k on k.task_id = h.task_id
  join tasker_engine.templates t on t.template_id = k.template_id
  join tasker_engine.namespaces n on n.namespace_id = t.namespace_id
  left join tasker_engine.template_steps p on p.template_id = k.template_id and p.number = tasker_engine.plan_number(h.number)
  order by h.at, h.number;
end $$;

-- read_task_moves: of each task that moved after a time, its last move; at most _limit, the oldest ones. Null is all namespaces.
create or replace function tasker_engine.read_task_moves(_after timestamptz, _namespaces text[], _limit int)
returns table (
  task_id uuid, namespace text, template text, number int, name text, seq int, to_state text, attempt int, at timestamptz,
  message text)
language plpgsql stable
set plan_cache_mode = force_custom_plan set jit = off set enable_seqscan = off set enable_indexscan = on as $$
#variable_conflict use_column
begin
  return query
  with moved as (
    select h.task_id, h.seq, h.to_state, h.at from tasker_engine.transitions h
    where h.number = 0 and h.at > _after order by h.at limit _limit),
  last as (select distinct on (m.task_id) m.* from moved m order by m.task_id, m.seq desc)
  select l.task_id, n.name, t.name, 0, null::text, l.seq, l.to_state::text, null::int, l.at, null::text
  from last l
  join tasker_engine.tasks k on k.task_id = l.task_id
  join tasker_engine.templates t on t.template_id = k.template_id
  join tasker_engine.namespaces n on n.namespace_id = t.namespace_id
  where _namespaces is null or n.name = any (_namespaces)
  order by l.at, l.task_id;
end $$;
