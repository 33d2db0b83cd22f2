-- count_some: how many tasks a filter (see read_filter) lets through, as far as a page of them needs to know: up to _count_max where
-- an index alone tells, else among the first _look_max that its rarest condition finds. is_exact false: that many, or more.
--
-- With its owner's rights, as search_tasks; of a confined caller the templates say what it reaches.
create or replace function tasker_engine.count_some(
  _filter jsonb, _source_system text default null, _count_max int default 10000, _look_max int default 2000)
returns table (count int, is_exact boolean) language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  w record := tasker_engine.read_filter(_filter);
  about_input int := num_nonnulls(w.correlation_id, w.initiator, _source_system, w.tags);
  is_indexed boolean := num_nonnulls(w.correlation_id, w.initiator, _source_system) > 0;  -- by more than a heap of matches
  about_task int := num_nonnulls(w.ended_from) + least(1, num_nonnulls(w.states, w.templates));
  fields int := coalesce(cardinality(w.field_ids), 0);
  is_of_one boolean := about_input + about_task + fields <= 1 and w.tags is null;  -- then what the index finds is what is asked
  most int := case when is_of_one then _count_max else _look_max end;
  found uuid[];
  is_by_task boolean := false;  -- whether their states and templates found them
begin
  if about_task = 1 and w.ended_from is null then
    found := tasker_engine.some_by_state(most + 1, w.lowest, w.above, w.states, w.templates);
    is_by_task := true;
  end if;
  if cardinality(found) > most and fields > 0 or found is null and fields > 0 then
    found := tasker_engine.some_by_field(most + 1, w.lowest, w.above, w.field_ids[1], w.field_values[1]);
    w.field_ids := nullif(w.field_ids[2:], '{}');
    w.field_values := w.field_values[2:];
    is_by_task := false;
  elsif cardinality(found) > most and is_indexed or found is null and about_input > 0 then
    found := tasker_engine.some_by_input(most + 1, w.lowest, w.above, w.tags, w.correlation_id, w.initiator, _source_system);
    is_by_task := false;
  elsif found is null then
    found := tasker_engine.some_by_end(most + 1, w.lowest, w.above, w.ended_from, w.ended_until);
  end if;
  if is_by_task then  -- what found them has seen to that
    w.states := null;
    w.templates := null;
  end if;
  is_exact := cardinality(found) <= most;
  found := found[1:most];
  count := case when is_of_one then cardinality(found) else tasker_engine.count_fitting(found, w.states, w.templates, w.tags,
    w.correlation_id, w.initiator, _source_system, w.ended_from, w.ended_until, w.field_ids, w.field_values) end;
  return next;
end $$;

-- count_fitting: how many of these tasks a filter lets through.
create or replace function tasker_engine.count_fitting(
  _task_ids uuid[], _states tasker_engine.state[], _templates int[], _tags text[], _correlation_id uuid, _initiator text,
  _source_system text, _ended_from timestamptz, _ended_until timestamptz, _field_ids int[], _values text[])
returns int language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_indexscan = on set enable_hashjoin = off
set enable_mergejoin = off set jit = off set join_collapse_limit = 1 as $$
begin
  if num_nonnulls(_states, _templates, _ended_from, _field_ids) = 0 then  -- the tasks themselves need not be looked at
    return (
      select count(*) from unnest(_task_ids) as asked(task_id)
      join tasker_engine.inputs i on i.task_id = asked.task_id
      where (_tags is null or i.tags @> _tags) and (_correlation_id is null or i.correlation_id = _correlation_id)
        and (_initiator is null or i.initiator = _initiator) and (_source_system is null or i.source_system = _source_system));
  end if;
  return (
    select count(*) from unnest(_task_ids) as asked(task_id)
    join tasker_engine.tasks t on t.task_id = asked.task_id
    join tasker_engine.inputs i on i.task_id = asked.task_id
    where (_states is null or t.state = any (_states)) and (_templates is null or t.template_id = any (_templates))
      and (_tags is null or i.tags @> _tags) and (_correlation_id is null or i.correlation_id = _correlation_id)
      and (_initiator is null or i.initiator = _initiator) and (_source_system is null or i.source_system = _source_system)
      and (_ended_from is null or t.finished_at >= _ended_from and t.finished_at < _ended_until)
      and (_field_ids is null or not exists (
        select from unnest(_field_ids, _values) as w(field_id, value)
        where not exists (
          select from tasker_engine.task_fields f where f.field_id = w.field_id and f.value = w.value and f.task_id = t.task_id))));
end $$;

-- some_by_state: ids of tasks of these states and templates, in no order. Null: all.
create or replace function tasker_engine.some_by_state(_most int, _from uuid, _below uuid, _states tasker_engine.state[], _templates int[])
returns uuid[] language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_bitmapscan = off set enable_indexscan = on
set enable_indexonlyscan = on set jit = off as $$
begin
  if _templates is null then
    return array(
      select t.task_id from unnest(_states) as wanted(state) cross join lateral (
        select t.task_id from tasker_engine.tasks t
        where (t.state, t.task_id) >= (wanted.state, _from) and (t.state, t.task_id) < (wanted.state, _below) and t.template_id > 0
        order by t.state desc, t.task_id desc limit _most) t limit _most);
  end if;
  return array(
    select t.task_id
    from unnest(_templates) as wanted(template_id)
    cross join unnest(coalesce(_states, enum_range(null::tasker_engine.state))) as wanted_state(state)
    cross join lateral (
      select t.task_id from tasker_engine.tasks t
      where (t.template_id, t.state, t.task_id) >= (wanted.template_id, wanted_state.state, _from)
        and (t.template_id, t.state, t.task_id) < (wanted.template_id, wanted_state.state, _below) and t.template_id > 0
      order by t.template_id desc, t.state desc, t.task_id desc limit _most) t limit _most);
end $$;

-- some_by_field: ids of tasks whose input has this value, newest first.
create or replace function tasker_engine.some_by_field(_most int, _from uuid, _below uuid, _field_id int, _value text) returns uuid[]
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_bitmapscan = off set enable_indexscan = on
set enable_indexonlyscan = on set jit = off as $$
begin
  return array(
    select f.task_id from tasker_engine.task_fields f
    where f.field_id = _field_id and f.value = _value and f.task_id >= _from and f.task_id < _below
    order by f.task_id desc limit _most);
end $$;

-- some_by_input: ids of tasks by what lies beside them, in no order.
create or replace function tasker_engine.some_by_input(
  _most int, _from uuid, _below uuid, _tags text[], _correlation_id uuid, _initiator text, _source_system text)
returns uuid[] language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_indexscan = on set enable_indexonlyscan = on set jit = off as $$
begin
  return array(
    select i.task_id from tasker_engine.inputs i
    where (_tags is null or i.tags @> _tags) and (_correlation_id is null or i.correlation_id = _correlation_id)
      and (_initiator is null or i.initiator = _initiator) and (_source_system is null or i.source_system = _source_system)
      and i.task_id >= _from and i.task_id < _below limit _most);
end $$;

-- some_by_end: ids of tasks that ended within a time, in no order; without a time, of all within the ids.
create or replace function tasker_engine.some_by_end(_most int, _from uuid, _below uuid, _ended_from timestamptz, _ended_until timestamptz)
returns uuid[] language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_bitmapscan = off set enable_indexscan = on
set enable_indexonlyscan = on set jit = off as $$
begin
  if _ended_from is null then
    return array(select t.task_id from tasker_engine.tasks t where t.task_id >= _from and t.task_id < _below limit _most);
  end if;
  return array(
    select t.task_id from tasker_engine.tasks t
    where t.finished_at >= _ended_from and t.finished_at < _ended_until and t.task_id >= _from and t.task_id < _below
      and t.template_id > 0 order by t.finished_at desc limit _most);
end $$;
