-- search_tasks: the ids of a page of tasks that a filter (see read_filter) lets through, newest first by id, or, where the filter
-- names when they ended, by that. _before, _before_at: where the last page ended.
--
-- One of four searches finds them, each along an index in the page's order, by a plan made for the values asked. It runs with its
-- owner's rights, and leaves out what a confined caller does not reach by the templates: a policy would keep the searches from
-- their indexes, whose comparisons are not known to be free of side effects.
create or replace function tasker_engine.search_tasks(
  _filter jsonb, _limit int, _before uuid default null, _before_at timestamptz default null) returns uuid[] language plpgsql stable
security definer set search_path = pg_catalog, pg_temp as $$
declare
  wanted record := tasker_engine.read_filter(_filter);
begin
  if wanted.ended_from is not null then
    return tasker_engine.find_by_end(_limit, wanted.ended_from, least(_before_at, wanted.ended_until),
      case when _before_at <= wanted.ended_until then _before else '00000000-0000-0000-0000-000000000000' end,
      wanted.lowest, wanted.above, wanted.states, wanted.templates,
      wanted.tags, wanted.correlation_id, wanted.initiator, wanted.field_ids, wanted.field_values);
  end if;
  wanted.above := least(_before, wanted.above);
  return case
    when num_nonnulls(wanted.correlation_id, wanted.initiator, wanted.tags, wanted.field_ids) > 0 then
      tasker_engine.search_by_parts(_limit, wanted.lowest, wanted.above, wanted.states, wanted.templates, wanted.tags,
        wanted.correlation_id, wanted.initiator, null, wanted.field_ids, wanted.field_values)
    when wanted.templates is not null then
      tasker_engine.find_by_template(_limit, wanted.lowest, wanted.above, wanted.states, wanted.templates)
    else tasker_engine.find_by_state(_limit, wanted.lowest, wanted.above, wanted.states)
  end;
end $$;

-- find_by_end: along the times at which tasks ended; _below_at and _below are those of the last task before the page.
create or replace function tasker_engine.find_by_end(
  _limit int, _from_at timestamptz, _below_at timestamptz, _below uuid, _lowest uuid, _above uuid, _states tasker_engine.state[],
  _templates int[], _tags text[], _correlation_id uuid, _initiator text, _field_ids int[], _values text[])
returns uuid[] language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_bitmapscan = off set enable_indexscan = on
set enable_indexonlyscan = on set enable_hashjoin = off set enable_mergejoin = off set jit = off set join_collapse_limit = 1 as $$
begin
  return array(
    select t.task_id
    from tasker_engine.tasks t
    join tasker_engine.inputs i on i.task_id = t.task_id
    where t.finished_at >= _from_at and (t.finished_at, t.task_id) < (_below_at, _below) and t.template_id > 0
      and t.task_id >= _lowest and t.task_id < _above
      and (_states is null or t.state = any (_states)) and (_templates is null or t.template_id = any (_templates))
      and (_tags is null or i.tags @> _tags) and (_correlation_id is null or i.correlation_id = _correlation_id)
      and (_initiator is null or i.initiator = _initiator)
      and (_field_ids is null or tasker_engine.has_fields(t.task_id, _field_ids, _values))
    order by t.finished_at desc, t.task_id desc limit _limit);
end $$;
