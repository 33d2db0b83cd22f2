-- list_tasks_by: a page of tasks that a filter lets through (see read_filter), in the order of search_tasks, with the columns of
-- read_tasks but the context.
create or replace function tasker_engine.list_tasks_by(
  _filter jsonb, _limit int, _before uuid default null, _before_at timestamptz default null)
returns table (
  task_id uuid, namespace text, name text, version text, state text, is_paused boolean, priority int, initiator text,
  source_system text, reason text, tags text[], correlation_id uuid, parent_correlation_id uuid, idempotency_key text,
  template_id int, step_count int, open int, live int, due int, failed int,
  created_at timestamptz, start_at timestamptz, finished_at timestamptz, paused_at timestamptz)
language plpgsql stable
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1 set from_collapse_limit = 1 set jit = off
set enable_seqscan = off set enable_indexscan = off set enable_indexonlyscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
begin
  if _limit not between 1 and 500 then
    raise exception 'a page has 1 to 500 tasks, not %', _limit using errcode = 'TK008';
  end if;
  return query
  select t.task_id, n.name, p.name, p.version, t.state::text, t.paused_at is not null, i.priority, i.initiator,
    i.source_system, i.reason, i.tags, i.correlation_id, i.parent_correlation_id, i.idempotency_key,
    t.template_id, p.step_count, t.open, t.live, t.due, t.failed, t.created_at, t.born_at, t.finished_at, t.paused_at
  from unnest(tasker_engine.search_tasks(_filter, _limit, _before, _before_at)) with ordinality as found(task_id, place)
  join tasker_engine.tasks t on t.task_id = found.task_id
  join tasker_engine.inputs i on i.task_id = t.task_id
  join tasker_engine.templates p on p.template_id = t.template_id
  join tasker_engine.namespaces n on n.namespace_id = p.namespace_id
  order by found.place;
end $$;
