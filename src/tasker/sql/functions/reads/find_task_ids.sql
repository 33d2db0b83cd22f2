-- find_task_ids: the ids of tasks, newest first, at most _limit of them: what a list shows, or how many there are, up to a limit.
--
-- Null filters nothing. _before: the id that the last page ended with. _namespaces: any of these; an empty array finds none. The
-- times are those that the ids carry, as is the order. The searches are those of list_tasks.
--
-- It runs with its owner's rights and finds what a confined caller reaches by the templates: a policy would keep the searches
-- from their indexes, whose comparisons are not known to be free of side effects.
create or replace function tasker_engine.find_task_ids(
  _limit int, _before uuid default null, _states text[] default null, _namespaces text[] default null, _name text default null,
  _version text default null, _tag text default null, _correlation_id uuid default null, _initiator text default null,
  _source_system text default null, _created_from timestamptz default null, _created_until timestamptz default null)
returns uuid[] language plpgsql stable security definer set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set join_collapse_limit = 1 set from_collapse_limit = 1 set jit = off
set enable_seqscan = off set enable_indexscan = off set enable_indexonlyscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  templates int[];
  states tasker_engine.state[] := _states;
  lowest uuid := coalesce(tasker_engine.id_at(_created_from), '00000000-0000-0000-0000-000000000000');
  above uuid := least(_before, tasker_engine.id_at(_created_until), 'ffffffff-ffff-ffff-ffff-ffffffffffff');
begin
  if num_nonnulls(_namespaces, _name, _version) > 0 or tasker_engine.is_confined() then
    templates := array(
      select t.template_id from tasker_engine.templates t join tasker_engine.namespaces n on n.namespace_id = t.namespace_id
      where (_namespaces is null or n.name = any (_namespaces)) and (_name is null or t.name = _name)
        and (_version is null or t.version = _version)
        and (not tasker_engine.is_confined() or n.name = any (tasker_engine.reached_names())));
  end if;
  return case
    when num_nonnulls(_tag, _correlation_id, _initiator, _source_system) > 0 then
      tasker_engine.search_by_parts(_limit, lowest, above, states, templates, case when _tag is not null then array[_tag] end,
        _correlation_id, _initiator, _source_system, null, null)
    when templates is not null then tasker_engine.find_by_template(_limit, lowest, above, states, templates)
    else tasker_engine.find_by_state(_limit, lowest, above, states)
  end;
end $$;
