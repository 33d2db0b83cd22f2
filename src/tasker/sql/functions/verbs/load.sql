-- load: the context (number 0) or the results of steps, which a grant did not carry. It locks nothing.
create or replace function tasker_engine.load(_task_ids uuid[], _numbers int[])
returns setof tasker_engine.reply language plpgsql stable as $$
begin
  return query
  select case when w.number = 0 then 'inputs' else 'result' end, w.task_id, nullif(w.number, 0), null::int, null::int, null::int,
    case when w.number = 0 then (select i.context::text from tasker_engine.inputs i where i.task_id = w.task_id)
         else (select s.result::text from tasker_engine.steps s where s.task_id = w.task_id and s.number = w.number) end,
    case when w.number = 0 then (select json_build_object('correlation_id', i.correlation_id) from tasker_engine.inputs i
                                 where i.task_id = w.task_id and i.correlation_id is not null) end
  from unnest(_task_ids, _numbers) as w(task_id, number);
end $$;
