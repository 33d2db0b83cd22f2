-- hold_tasks: takes task rows in the order of their ids, and reads them; without _may_wait, only those nobody else holds.
create or replace function tasker_engine.hold_tasks(_task_ids uuid[], _may_wait boolean)
returns tasker_engine.held_task[] language plpgsql as $$
begin
  if _may_wait then
    return array(
      select row(t.ctid, t.task_id, t.template_id, t.class, t.state, t.open, t.live, t.due, t.failed, t.moves, t.born_at,
        t.paused_at)::tasker_engine.held_task
      from tasker_engine.tasks t where t.task_id = any (_task_ids) order by t.task_id for no key update);
  end if;
  return array(
    select row(t.ctid, t.task_id, t.template_id, t.class, t.state, t.open, t.live, t.due, t.failed, t.moves, t.born_at,
      t.paused_at)::tasker_engine.held_task
    from tasker_engine.tasks t where t.task_id = any (_task_ids) order by t.task_id for no key update skip locked);
end $$;

-- lock_tasks: the same, for those who need only the ids.
create or replace function tasker_engine.lock_tasks(_task_ids uuid[], _may_wait boolean) returns uuid[] language plpgsql as $$
begin
  return array(select h.task_id from unnest(tasker_engine.hold_tasks(_task_ids, _may_wait)) h);
end $$;

-- lock_whole_tasks: of tasks whose rows the caller holds, those none of whose open steps another verb holds; with the steps locked.
create or replace function tasker_engine.lock_whole_tasks(_held uuid[]) returns uuid[] language plpgsql as $$
begin
  return array(
    with taken as materialized (
      select s.task_id, s.number from tasker_engine.steps s
      where s.task_id = any (_held) and s.state not in ('complete', 'resolved_manually', 'cancelled')
      order by s.task_id, s.number for no key update skip locked),
    every as (
      select s.task_id, count(*) as steps from tasker_engine.steps s
      where s.task_id = any (_held) and s.state not in ('complete', 'resolved_manually', 'cancelled') group by s.task_id)
    select h from unnest(_held) h
    left join every e on e.task_id = h
    left join (select t.task_id, count(*) as steps from taken t group by t.task_id) t on t.task_id = h
    where coalesce(e.steps, 0) = coalesce(t.steps, 0));
end $$;
