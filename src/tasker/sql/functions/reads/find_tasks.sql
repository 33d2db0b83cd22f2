-- The searches of search_tasks along one index. Each answers at most _limit ids from _from on and below _below, newest first. The
-- condition `template_id > 0` always holds: it is that of the indexes. A head is a range of rows, not an equality, so that its order is
-- that of one index only: with an equality the planner may walk through all tasks for a rare state.

-- find_by_template: the heads of (template, state) put together. No more of each head is read than it may need: what lies below the
-- last row of a head that goes on waits for the next round, which reads twice as much. Of all states, the newest tasks are looked
-- at first: where many of them are of these templates, no heads are needed.
create or replace function tasker_engine.find_by_template(
  _limit int, _from uuid, _below uuid, _states tasker_engine.state[], _templates int[])
returns uuid[] language plpgsql stable as $$
declare
  states tasker_engine.state[] := coalesce(_states, enum_range(null::tasker_engine.state));
  found uuid[] := case when _states is null then tasker_engine.newest_of_templates(_limit, _from, _below, _templates) else '{}' end;
  part int := least(_limit, 25 + 2 * _limit / greatest(1, cardinality(_templates)));
  next record;
begin
  if cardinality(found) = _limit then
    return found;
  end if;
  found := '{}';
  loop
    select * into next from tasker_engine.heads_of_templates(part, _from, _below, states, _templates);
    found := found || next.task_ids;
    if next.floor is null or cardinality(found) >= _limit then
      return found[1:_limit];
    end if;
    _below := next.floor;
    part := least(_limit, 2 * part);
  end loop;
end $$;

-- newest_of_templates: those of these templates among the newest tasks, of which four are looked at for each that is wanted.
create or replace function tasker_engine.newest_of_templates(_limit int, _from uuid, _below uuid, _templates int[])
returns uuid[] language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_bitmapscan = off set enable_indexscan = on set jit = off as $$
begin
  return array(
    select t.task_id
    from (
      select n.task_id, n.template_id from tasker_engine.tasks n
      where n.task_id >= _from and n.task_id < _below order by n.task_id desc limit 4 * _limit) t
    where t.template_id = any (_templates) order by t.task_id desc limit _limit);
end $$;

-- heads_of_templates: the newest ids of each (template, state), at most _part of each, together as far down as all of them are
-- known: to the floor (included; null: there are no more).
create or replace function tasker_engine.heads_of_templates(
  _part int, _from uuid, _below uuid, _states tasker_engine.state[], _templates int[], out task_ids uuid[], out floor uuid)
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_bitmapscan = off set enable_indexscan = on
set enable_indexonlyscan = on set jit = off as $$
begin
  with head as materialized (
    select h.task_id, row_number() over (partition by wanted.template_id, wanted_state.state order by h.task_id desc) as place
    from unnest(_templates) as wanted(template_id)
    cross join unnest(_states) as wanted_state(state)
    cross join lateral (
      select t.task_id from tasker_engine.tasks t
      where (t.template_id, t.state, t.task_id) >= (wanted.template_id, wanted_state.state, _from)
        and (t.template_id, t.state, t.task_id) < (wanted.template_id, wanted_state.state, _below) and t.template_id > 0
      order by t.template_id desc, t.state desc, t.task_id desc limit _part) h),
  ground as (select h.task_id from head h where h.place = _part order by h.task_id desc limit 1)
  select coalesce(array_agg(h.task_id order by h.task_id desc), '{}'), (select g.task_id from ground g) into task_ids, floor
  from head h where h.task_id >= coalesce((select g.task_id from ground g), '00000000-0000-0000-0000-000000000000');
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

-- id_at: below all ids that carry this time or a later one, above all others.
create or replace function tasker_engine.id_at(_at timestamptz) returns uuid language sql immutable strict as $$
  select (lpad(to_hex(ceil(extract(epoch from greatest(_at, 'epoch')) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;
