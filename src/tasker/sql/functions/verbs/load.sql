-- load: the context (number 0), the results of steps, or what members of batches work on (their numbers, negated), which a grant
-- did not carry. It locks nothing.
create or replace function tasker_engine.load(_task_ids uuid[], _numbers int[])
returns setof tasker_engine.reply language plpgsql stable as $$
begin
  return query
  select case when w.number = 0 then 'inputs' else 'result' end, w.task_id, nullif(w.number, 0), null::int, null::int, null::int,
    case when w.number = 0 then (select i.context::text from tasker_engine.inputs i where i.task_id = w.task_id)
         else (select s.result::text from tasker_engine.steps s where s.task_id = w.task_id and s.number = w.number) end,
    case when w.number = 0 then (select json_build_object('correlation_id', i.correlation_id) from tasker_engine.inputs i
                                 where i.task_id = w.task_id and i.correlation_id is not null) end
  from unnest(_task_ids, _numbers) as w(task_id, number) where w.number >= 0;
  if 0 > any (_numbers) then
    return query select * from tasker_engine.member_items(_task_ids, array(
      select -w.number from unnest(_numbers) with ordinality as w(number, place) order by w.place));
  end if;
end $$;

-- load_members: how the members of these batches ended, in order: their results, or the errors that ended them.
create or replace function tasker_engine.load_members(_task_ids uuid[], _numbers int[])
returns table (task_id uuid, number int, batch_id text, state text, result text, error text) language plpgsql stable
set enable_indexscan = on set enable_bitmapscan = off set enable_hashjoin = off as $$
#variable_conflict use_column
begin
  return query
  select s.task_id, s.number, i.batch_id, s.state::text, s.result::text, case when s.state = 'error' then s.error::text end
  from unnest(_task_ids, _numbers) as w(task_id, number)
  cross join lateral (
    select * from tasker_engine.steps n
    where n.task_id = w.task_id and n.number between w.number << 16 and w.number << 16 | 65535 offset 0) s
  cross join lateral (
    select * from tasker_engine.batch_items n where n.task_id = s.task_id and n.number = s.number offset 0) i
  order by s.task_id, s.number;
end $$;
