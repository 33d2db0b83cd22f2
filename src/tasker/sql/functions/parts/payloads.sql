-- payloads: the contexts (where asked for) and the parents' results that these granted steps need, each once, smallest
-- task ids first, up to the size that a grant may carry. Sizes are stored, so that nothing large is read to be left out.
create or replace function tasker_engine.payloads(_task_ids uuid[], _numbers int[], _with_inputs boolean)
returns setof tasker_engine.reply language plpgsql as $$
#variable_conflict use_column
begin
  return query
  with needed as (
    select distinct g.task_id, 0 as number, i.bytes
    from unnest(_task_ids) as g(task_id) join tasker_engine.inputs i on i.task_id = g.task_id where _with_inputs
    union all
    select distinct g.task_id, p.number, s.result_bytes
    from unnest(_task_ids, _numbers) as g(task_id, number)
    join tasker_engine.tasks t on t.task_id = g.task_id
    join tasker_engine.template_steps ts on ts.template_id = t.template_id and ts.number = g.number
    cross join lateral unnest(ts.parents) as p(number)
    join tasker_engine.steps s on s.task_id = g.task_id and s.number = p.number and s.result_bytes is not null),
  fitting as (
    select task_id, number from (
      select n.*, sum(bytes) over (order by task_id, number) as total from needed n) n
    where total <= tasker_engine.setting('grant_payload_bytes'))
  select case when f.number = 0 then 'inputs' else 'result' end, f.task_id, nullif(f.number, 0), null::int, null::int, null::int,
    case when f.number = 0 then (select i.context::text from tasker_engine.inputs i where i.task_id = f.task_id)
         else (select s.result::text from tasker_engine.steps s where s.task_id = f.task_id and s.number = f.number) end,
    case when f.number = 0 then (select json_build_object('correlation_id', i.correlation_id) from tasker_engine.inputs i
                                 where i.task_id = f.task_id and i.correlation_id is not null) end
  from fitting f;
end $$;
