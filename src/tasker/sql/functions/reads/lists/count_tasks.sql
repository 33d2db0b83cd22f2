-- count_tasks: how many tasks a filter lets through (see read_filter). Up to _count_max they are counted; past that it is the
-- planner's estimate, at least _count_max, and is_exact is false. (Volatile, because only then may it ask the planner.)
create or replace function tasker_engine.count_tasks(_filter jsonb, _count_max int default 10000)
returns table (count bigint, is_exact boolean) language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan set enable_seqscan = on set enable_indexscan = on set enable_indexonlyscan = on
set enable_hashjoin = on set enable_mergejoin = on set jit = off set join_collapse_limit = 8 set from_collapse_limit = 8 as $$
declare
  w record := tasker_engine.read_filter(_filter);
  plan json;
begin
  is_exact := true;
  select c.count into count from (
    select count(*) as count from (
      select from tasker_engine.filtered(w.states, w.templates, w.tags, w.correlation_id, w.initiator, w.lowest, w.above, w.ended_from,
        w.ended_until, w.field_ids, w.field_values) limit _count_max) f) c;
  if count >= _count_max then
    is_exact := false;
    for plan in explain (format json)
      select from tasker_engine.filtered(w.states, w.templates, w.tags, w.correlation_id, w.initiator, w.lowest, w.above, w.ended_from,
        w.ended_until, w.field_ids, w.field_values)
    loop
      count := greatest(_count_max, (plan -> 0 -> 'Plan' ->> 'Plan Rows')::bigint);
    end loop;
  end if;
  return next;
end $$;

-- filtered: the tasks themselves. The server puts this query in the place of its call, so that it is planned for the values asked.
create or replace function tasker_engine.filtered(
  _states tasker_engine.state[], _templates int[], _tags text[], _correlation_id uuid, _initiator text, _lowest uuid, _above uuid,
  _ended_from timestamptz, _ended_until timestamptz, _field_ids int[], _values text[])
returns setof tasker_engine.tasks language sql stable as $$
  select t.*
  from tasker_engine.tasks t
  where t.template_id > 0 and t.task_id >= _lowest and t.task_id < _above
    and (_states is null or t.state = any (_states)) and (_templates is null or t.template_id = any (_templates))
    and (_ended_from is null or t.finished_at >= _ended_from and t.finished_at < _ended_until)
    and (num_nonnulls(_tags, _correlation_id, _initiator) = 0 or t.task_id in (
      select i.task_id from tasker_engine.inputs i
      where (_tags is null or i.tags @> _tags) and (_correlation_id is null or i.correlation_id = _correlation_id)
        and (_initiator is null or i.initiator = _initiator)))
    and (_field_ids is null or t.task_id in (
      select f.task_id from tasker_engine.task_fields f where f.field_id = _field_ids[1] and f.value = _values[1]))
    and (_field_ids is null or cardinality(_field_ids) = 1 or tasker_engine.has_fields(t.task_id, _field_ids[2:], _values[2:]))
$$;
