-- list_tasks: a page of tasks, newest first (by id, which carries the time), with the columns of read_tasks but the context.
--
-- Null filters nothing. _before: the id that the last page ended with. The times are those that the ids carry, as is the
-- order. One of three searches finds the ids, each along an index in the list's order, by a plan made for the values asked.
create or replace function tasker_engine.list_tasks(
  _limit int, _before uuid default null, _states text[] default null, _namespace text default null, _name text default null,
  _version text default null, _tag text default null, _correlation_id uuid default null, _initiator text default null,
  _created_from timestamptz default null, _created_until timestamptz default null)
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
declare
  found_ids uuid[];
  templates int[];
  states tasker_engine.state[] := _states;
  lowest uuid := coalesce(tasker_engine.id_at(_created_from), '00000000-0000-0000-0000-000000000000');
  above uuid := least(_before, tasker_engine.id_at(_created_until), 'ffffffff-ffff-ffff-ffff-ffffffffffff');
begin
  if _limit not between 1 and 500 then
    raise exception 'a page has 1 to 500 tasks, not %', _limit using errcode = 'TK008';
  end if;
  if num_nonnulls(_namespace, _name, _version) > 0 then
    templates := array(
      select t.template_id from tasker_engine.templates t join tasker_engine.namespaces n on n.namespace_id = t.namespace_id
      where (_namespace is null or n.name = _namespace) and (_name is null or t.name = _name)
        and (_version is null or t.version = _version));
  end if;
  found_ids := case
    when num_nonnulls(_tag, _correlation_id, _initiator) > 0 then
      tasker_engine.find_by_input(_limit, lowest, above, states, templates, _tag, _correlation_id, _initiator)
    when templates is not null then tasker_engine.find_by_template(_limit, lowest, above, states, templates)
    else tasker_engine.find_by_state(_limit, lowest, above, states)
  end;
  return query
  select t.task_id, n.name, p.name, p.version, t.state::text, t.paused_at is not null, i.priority, i.initiator,
    i.source_system, i.reason, i.tags, i.correlation_id, i.parent_correlation_id, i.idempotency_key,
    t.template_id, p.step_count, t.open, t.live, t.due, t.failed, t.created_at, t.born_at, t.finished_at, t.paused_at
  from unnest(found_ids) as found(task_id)
  join tasker_engine.tasks t on t.task_id = found.task_id
  join tasker_engine.inputs i on i.task_id = t.task_id
  join tasker_engine.templates p on p.template_id = t.template_id
  join tasker_engine.namespaces n on n.namespace_id = p.namespace_id
  order by t.task_id desc;
end $$;
