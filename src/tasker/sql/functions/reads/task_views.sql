-- task_views: tasks with all their steps, in one round trip: `task` has the columns of read_tasks, `steps` those of read_steps.
create or replace function tasker_engine.task_views(_task_ids uuid[]) returns table (task json, steps json)
language plpgsql stable set plan_cache_mode = force_generic_plan as $$
begin
  return query
  select row_to_json(t), (select coalesce(json_agg(s), '[]') from tasker_engine.read_steps(array[t.task_id]) s)
  from tasker_engine.read_tasks(_task_ids) t;
end $$;
