-- lock_tasks: takes task rows in the order of their ids; without _may_wait, only those that nobody else holds.
create or replace function tasker_engine.lock_tasks(_task_ids uuid[], _may_wait boolean) returns uuid[] language plpgsql as $$
begin
  if _may_wait then
    return array(select t.task_id from tasker_engine.tasks t where t.task_id = any (_task_ids)
                 order by t.task_id for no key update);
  end if;
  return array(select t.task_id from tasker_engine.tasks t where t.task_id = any (_task_ids)
               order by t.task_id for no key update skip locked);
end $$;
