-- read_tasks: tasks by their ids, in the order of the ids; unknown ones are left out.
--
-- start_at: when it may begin. started_at: when a step was first granted. The settings make one plan of it everywhere.
create or replace function tasker_engine.read_tasks(_task_ids uuid[])
returns table (
  task_id uuid, namespace text, name text, version text, state text, is_paused boolean, priority int, initiator text,
  source_system text, reason text, tags text[], correlation_id uuid, parent_correlation_id uuid, idempotency_key text,
  context jsonb, template_id int, step_count int, open int, live int, due int, failed int,
  created_at timestamptz, start_at timestamptz, started_at timestamptz, finished_at timestamptz, paused_at timestamptz)
language plpgsql stable
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1 set from_collapse_limit = 1 set jit = off
set enable_seqscan = off set enable_indexscan = off set enable_indexonlyscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
begin
  return query
  select t.task_id, n.name, p.name, p.version, t.state::text, t.paused_at is not null, i.priority, i.initiator,
    i.source_system, i.reason, i.tags, i.correlation_id, i.parent_correlation_id, i.idempotency_key,
    i.context, t.template_id, p.step_count, t.open, t.live, t.due, t.failed,
    t.created_at, t.born_at, (select min(h.at) from tasker_engine.transitions h where h.task_id = t.task_id and h.to_state = 'in_progress'),
    t.finished_at, t.paused_at
  from unnest(_task_ids) with ordinality as asked(task_id, place)
  join tasker_engine.tasks t on t.task_id = asked.task_id
  join tasker_engine.inputs i on i.task_id = t.task_id
  join tasker_engine.templates p on p.template_id = t.template_id
  join tasker_engine.namespaces n on n.namespace_id = p.namespace_id
  order by asked.place;
end $$;
