-- The searches of list_tasks. Each answers at most _limit ids below _before, newest first.
--
-- An id carries its time, at most a day off: so a range of time is a range of ids first, and is checked exactly after that.

-- find_by_template: the heads of (template, state), as many as there are, put together.
create or replace function tasker_engine.find_by_template(
  _limit int, _before uuid, _states text[], _templates int[], _created_from timestamptz, _created_until timestamptz)
returns uuid[] language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_indexscan = on set enable_indexonlyscan = on
set enable_hashjoin = on set enable_mergejoin = on set jit = off as $$
begin
  return array(
    select head.task_id
    from unnest(_templates) as wanted(template_id)
    cross join unnest(coalesce(_states::tasker_engine.state[], enum_range(null::tasker_engine.state))) as wanted_state(state)
    cross join lateral (
      select t.task_id from tasker_engine.tasks t
      where t.template_id = wanted.template_id and t.template_id > 0 and t.state = wanted_state.state
        and t.task_id < tasker_engine.id_below(_before, _created_until) and t.task_id >= tasker_engine.id_from(_created_from)
        and (_created_from is null or t.created_at >= _created_from) and (_created_until is null or t.created_at < _created_until)
      order by t.template_id desc, t.state desc, t.task_id desc limit _limit) head
    order by head.task_id desc limit _limit);
end $$;

-- find_by_state: the heads of each state; without states, the newest tasks.
create or replace function tasker_engine.find_by_state(
  _limit int, _before uuid, _states text[], _created_from timestamptz, _created_until timestamptz)
returns uuid[] language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_indexscan = on set enable_indexonlyscan = on
set enable_hashjoin = on set enable_mergejoin = on set jit = off as $$
begin
  if _states is null then
    return array(
      select t.task_id from tasker_engine.tasks t
      where t.task_id < tasker_engine.id_below(_before, _created_until) and t.task_id >= tasker_engine.id_from(_created_from)
        and (_created_from is null or t.created_at >= _created_from) and (_created_until is null or t.created_at < _created_until)
      order by t.task_id desc limit _limit);
  end if;
  return array(
    select head.task_id
    from unnest(_states::tasker_engine.state[]) as wanted_state(state)
    cross join lateral (
      select t.task_id from tasker_engine.tasks t
      where t.state = wanted_state.state and t.template_id > 0
        and t.task_id < tasker_engine.id_below(_before, _created_until) and t.task_id >= tasker_engine.id_from(_created_from)
        and (_created_from is null or t.created_at >= _created_from) and (_created_until is null or t.created_at < _created_until)
      order by t.state desc, t.task_id desc limit _limit) head
    order by head.task_id desc limit _limit);
end $$;

-- find_by_input: by what lies beside the task. Statistics say whether a tag is rare (its own index) or common (the newest
-- tasks are looked through).
create or replace function tasker_engine.find_by_input(
  _limit int, _before uuid, _states text[], _templates int[], _tag text, _correlation_id uuid, _initiator text,
  _created_from timestamptz, _created_until timestamptz)
returns uuid[] language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_indexscan = on set enable_indexonlyscan = on
set enable_hashjoin = on set enable_mergejoin = on set jit = off as $$
begin
  return array(
    select i.task_id
    from tasker_engine.inputs i
    join tasker_engine.tasks t on t.task_id = i.task_id
    where (_tag is null or i.tags @> array[_tag]) and (_correlation_id is null or i.correlation_id = _correlation_id)
      and (_initiator is null or i.initiator = _initiator) and (_states is null or t.state = any (_states::tasker_engine.state[]))
      and (_templates is null or t.template_id = any (_templates))
      and i.task_id < tasker_engine.id_below(_before, _created_until) and i.task_id >= tasker_engine.id_from(_created_from)
      and (_created_from is null or t.created_at >= _created_from) and (_created_until is null or t.created_at < _created_until)
    order by i.task_id desc limit _limit);
end $$;

-- id_from: below all ids of tasks created at a time or later; id_below: above all of those created before a time, and never
-- above _before.
create or replace function tasker_engine.id_from(_at timestamptz) returns uuid language sql immutable as $$
  select coalesce(tasker_engine.id_at(_at - interval '1 day'), '00000000-0000-0000-0000-000000000000')
$$;

create or replace function tasker_engine.id_below(_before uuid, _at timestamptz) returns uuid language sql immutable as $$
  select least(coalesce(_before, 'ffffffff-ffff-ffff-ffff-ffffffffffff'), tasker_engine.id_at(_at + interval '1 day'))
$$;

create or replace function tasker_engine.id_at(_at timestamptz) returns uuid language sql immutable strict as $$
  select (lpad(to_hex((extract(epoch from greatest(_at, 'epoch')) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;
