-- read_tasks: tasks by their ids, in the order of the ids; unknown ones are left out.
--
-- start_at: when it may begin. started_at: when a step was first granted. One plan for every connection: each table is
-- probed by its key, row by row (`offset 0` keeps the planner from turning a join round while a table is small).
create or replace function tasker_engine.read_tasks(_task_ids uuid[])
returns table (
  task_id uuid, namespace text, name text, version text, state text, is_paused boolean, priority int, initiator text,
  source_system text, reason text, tags text[], correlation_id uuid, parent_correlation_id uuid, idempotency_key text,
  context jsonb, template_id int, step_count int, open int, live int, due int, failed int,
  created_at timestamptz, start_at timestamptz, started_at timestamptz, finished_at timestamptz, paused_at timestamptz)
language plpgsql stable
set plan_cache_mode = force_generic_plan set jit = off set enable_seqscan = off set enable_indexscan = on as $$
#variable_conflict use_column
begin
  return query
  select t.task_id, p.namespace, p.name, p.version, t.state::text, t.paused_at is not null, i.priority, i.initiator,
    i.source_system, i.reason, i.tags, i.correlation_id, i.parent_correlation_id, i.idempotency_key,
    i.context, t.template_id, p.step_count, t.open, t.live, t.due, t.failed,
    t.created_at, t.born_at, h.started_at, t.finished_at, t.paused_at
  from unnest(_task_ids) with ordinality as asked(task_id, place)
  cross join lateral (select * from tasker_engine.tasks t where t.task_id = asked.task_id offset 0) t
  cross join lateral (select * from tasker_engine.inputs i where i.task_id = asked.task_id offset 0) i
  cross join lateral (
    select p.*, n.name as namespace from tasker_engine.templates p, tasker_engine.namespaces n
    where p.template_id = t.template_id and n.namespace_id = t.namespace_id offset 0) p
  cross join lateral (
    select min(h.at) as started_at from tasker_engine.transitions h where h.task_id = asked.task_id and h.to_state = 'in_progress') h
  order by asked.place;
end $$;
