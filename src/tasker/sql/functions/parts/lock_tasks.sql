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
