-- search_by_parts: a page of ids, newest first, by what no index alone tells: input, fields, states and templates together.
--
-- In turn, and each time further: the newest tasks of one condition are walked through, and it is looked whether few tasks are left
-- that have another; then those are read as a whole. So what is frequent soon fills a page, what is rare is soon known to be, and
-- neither costs much more than if it had been known before. Statistics cannot tell: a tag that few tasks have is not in them.
create or replace function tasker_engine.search_by_parts(
  _limit int, _from uuid, _below uuid, _states tasker_engine.state[], _templates int[], _tags text[], _correlation_id uuid,
  _initiator text, _source_system text, _field_ids int[], _values text[])
returns uuid[] language plpgsql stable as $$
declare
  part bigint := 5 * _limit;
  walked bigint := 0;
  missing bigint;  -- how far the walk still has to go, by what it found so far
  is_by_task boolean := num_nonnulls(_field_ids, _correlation_id, _initiator, _source_system) = 0;  -- it walks by state and template
  found uuid[] := '{}';
  next uuid[];
begin
  loop
    next := case
      when _field_ids is not null then tasker_engine.some_by_field(part::int, _from, _below, _field_ids[1], _values[1])
      when num_nonnulls(_correlation_id, _initiator, _source_system) > 0 then
        tasker_engine.newest_by_input(part::int, _from, _below, _correlation_id, _initiator, _source_system)
      when _templates is not null then tasker_engine.find_by_template(part::int, _from, _below, _states, _templates)
      else tasker_engine.find_by_state(part::int, _from, _below, _states) end;
    found := found || tasker_engine.newest_fitting(_limit, next, case when not is_by_task then _states end,
      case when not is_by_task then _templates end, _tags, _correlation_id, _initiator, _source_system, _field_ids, _values);
    if cardinality(found) >= _limit or cardinality(next) < part then
      return found[1:_limit];
    end if;
    _below := next[part];
    walked := walked + part;
    missing := 1 + 5 * walked * (_limit - cardinality(found)) / (4 * cardinality(found) + 1);
    if missing > 6 * part then
      next := tasker_engine.few_left(part::int, _from, _below, _states, _templates, _tags, _correlation_id, _initiator, _source_system);
      missing := 6 * part;
    else
      next := null;
    end if;
    if next is not null then
      return found || tasker_engine.newest_fitting(_limit - cardinality(found), next, _states, _templates, _tags, _correlation_id,
        _initiator, _source_system, _field_ids, _values);
    end if;
    part := least(missing, 1000000);
  end loop;
end $$;

-- newest_by_input: ids of tasks by what lies beside them and has an index in the order of the list.
create or replace function tasker_engine.newest_by_input(
  _limit int, _from uuid, _below uuid, _correlation_id uuid, _initiator text, _source_system text)
returns uuid[] language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_bitmapscan = off set enable_indexscan = on
set enable_indexonlyscan = on set jit = off as $$
begin
  return case
    when _correlation_id is not null then array(
      select i.task_id from tasker_engine.inputs i
      where (i.correlation_id, i.task_id) >= (_correlation_id, _from) and (i.correlation_id, i.task_id) < (_correlation_id, _below)
        and i.correlation_id is not null
      order by i.correlation_id desc, i.task_id desc limit _limit)
    when _initiator is not null then array(
      select i.task_id from tasker_engine.inputs i
      where (i.initiator, i.task_id) >= (_initiator, _from) and (i.initiator, i.task_id) < (_initiator, _below)
        and i.initiator is not null order by i.initiator desc, i.task_id desc limit _limit)
    else array(
      select i.task_id from tasker_engine.inputs i
      where (i.source_system, i.task_id) >= (_source_system, _from) and (i.source_system, i.task_id) < (_source_system, _below)
        and i.source_system is not null order by i.source_system desc, i.task_id desc limit _limit) end;
end $$;

-- few_left: the tasks that have what is asked of their input, or of their state and template, in no order; null: more than _few.
create or replace function tasker_engine.few_left(
  _few int, _from uuid, _below uuid, _states tasker_engine.state[], _templates int[], _tags text[], _correlation_id uuid,
  _initiator text, _source_system text)
returns uuid[] language plpgsql stable as $$
declare
  found uuid[];
begin
  if num_nonnulls(_states, _templates) > 0 then
    found := tasker_engine.some_by_state(_few + 1, _from, _below, _states, _templates);
    if cardinality(found) <= _few then
      return found;
    end if;
  end if;
  if num_nonnulls(_tags, _correlation_id, _initiator, _source_system) > 0 then
    found := tasker_engine.some_by_input(_few + 1, _from, _below, _tags, _correlation_id, _initiator, _source_system);
    if cardinality(found) <= _few then
      return found;
    end if;
  end if;
  return null;
end $$;

-- newest_fitting: those of these tasks that a filter lets through, newest first.
create or replace function tasker_engine.newest_fitting(
  _limit int, _task_ids uuid[], _states tasker_engine.state[], _templates int[], _tags text[], _correlation_id uuid, _initiator text,
  _source_system text, _field_ids int[], _values text[])
returns uuid[] language plpgsql stable
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_indexscan = on set enable_hashjoin = off
set enable_mergejoin = off set jit = off set join_collapse_limit = 1 as $$
begin
  if num_nonnulls(_states, _templates, _field_ids) = 0 then  -- the tasks themselves need not be looked at
    return array(
      select i.task_id from unnest(_task_ids) as asked(task_id)
      join tasker_engine.inputs i on i.task_id = asked.task_id
      where (_tags is null or i.tags @> _tags) and (_correlation_id is null or i.correlation_id = _correlation_id)
        and (_initiator is null or i.initiator = _initiator) and (_source_system is null or i.source_system = _source_system)
      order by i.task_id desc limit _limit);
  end if;
  return array(
    select t.task_id from unnest(_task_ids) as asked(task_id)
    join tasker_engine.tasks t on t.task_id = asked.task_id
    join tasker_engine.inputs i on i.task_id = asked.task_id
    where (_states is null or t.state = any (_states)) and (_templates is null or t.template_id = any (_templates))
      and (_tags is null or i.tags @> _tags) and (_correlation_id is null or i.correlation_id = _correlation_id)
      and (_initiator is null or i.initiator = _initiator) and (_source_system is null or i.source_system = _source_system)
      and (_field_ids is null or not exists (
        select from unnest(_field_ids, _values) as w(field_id, value)
        where not exists (
          select from tasker_engine.task_fields f where f.field_id = w.field_id and f.value = w.value and f.task_id = t.task_id)))
    order by t.task_id desc limit _limit);
end $$;
