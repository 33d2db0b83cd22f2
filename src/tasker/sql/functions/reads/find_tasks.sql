-- The searches of search_tasks, but those by field and by end. Each answers at most _limit ids from _from on and below _below, newest first. The condition
-- `template_id > 0` always holds: it is that of the indexes. A head is a range of rows, not an equality, so that its order is
-- that of one index only: with an equality the planner may walk through all tasks for a rare state.

-- find_by_template: the heads of (template, state), as many as there are, put together.
create or replace function tasker_engine.find_by_template(
  _limit int, _from uuid, _below uuid, _states tasker_engine.state[], _templates int[])
returns uuid[] language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_bitmapscan = off set enable_indexscan = on
set enable_indexonlyscan = on set jit = off as $$
begin
  return array(
    select head.task_id
    from unnest(_templates) as wanted(template_id)
    cross join unnest(coalesce(_states, enum_range(null::tasker_engine.state))) as wanted_state(state)
    cross join lateral (
      select t.task_id from tasker_engine.tasks t
      where (t.template_id, t.state, t.task_id) >= (wanted.template_id, wanted_state.state, _from)
        and (t.template_id, t.state, t.task_id) < (wanted.template_id, wanted_state.state, _below) and t.template_id > 0
      order by t.template_id desc, t.state desc, t.task_id desc limit _limit) head
    order by head.task_id desc limit _limit);
end $$;

-- find_by_state: the heads of each state; without states, the newest tasks.
create or replace function tasker_engine.find_by_state(_limit int, _from uuid, _below uuid, _states tasker_engine.state[])
returns uuid[] language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_bitmapscan = off set enable_indexscan = on
set enable_indexonlyscan = on set jit = off as $$
begin
  if _states is null then
    return array(
      select t.task_id from tasker_engine.tasks t
      where t.task_id >= _from and t.task_id < _below order by t.task_id desc limit _limit);
  end if;
  return array(
    select head.task_id
    from unnest(_states) as wanted_state(state)
    cross join lateral (
      select t.task_id from tasker_engine.tasks t
      where (t.state, t.task_id) >= (wanted_state.state, _from) and (t.state, t.task_id) < (wanted_state.state, _below)
        and t.template_id > 0
      order by t.state desc, t.task_id desc limit _limit) head
    order by head.task_id desc limit _limit);
end $$;

-- find_by_input: by what lies beside the task. Statistics say which is rare: the tag, the state, or neither (then the newest
-- tasks are looked through). With states it is the heads of each, put together, so that a state can be walked in order.
create or replace function tasker_engine.find_by_input(
  _limit int, _from uuid, _below uuid, _states tasker_engine.state[], _templates int[], _tags text[], _correlation_id uuid, _initiator text)
returns uuid[] language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_indexscan = on set enable_indexonlyscan = on
set enable_hashjoin = on set enable_mergejoin = on set jit = off as $$
begin
  if _states is not null then
    return array(
      select head.task_id
      from unnest(_states) as wanted_state(state)
      cross join lateral (
        select t.task_id
        from tasker_engine.tasks t
        join tasker_engine.inputs i on i.task_id = t.task_id
        where (_tags is null or i.tags @> _tags) and (_correlation_id is null or i.correlation_id = _correlation_id)
          and (_initiator is null or i.initiator = _initiator) and t.state = wanted_state.state
          and (_templates is null or t.template_id = any (_templates))
          and t.task_id >= _from and t.task_id < _below and t.template_id > 0
        order by t.task_id desc limit _limit) head
      order by head.task_id desc limit _limit);
  end if;
  return array(
    select i.task_id
    from tasker_engine.inputs i
    join tasker_engine.tasks t on t.task_id = i.task_id
    where (_tags is null or i.tags @> _tags) and (_correlation_id is null or i.correlation_id = _correlation_id)
      and (_initiator is null or i.initiator = _initiator) and (_templates is null or t.template_id = any (_templates))
      and i.task_id >= _from and i.task_id < _below and t.template_id > 0
    order by i.task_id desc limit _limit);
end $$;

-- id_at: below all ids that carry this time or a later one, above all others.
create or replace function tasker_engine.id_at(_at timestamptz) returns uuid language sql immutable strict as $$
  select (lpad(to_hex(ceil(extract(epoch from greatest(_at, 'epoch')) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;
