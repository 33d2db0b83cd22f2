-- payloads: the contexts (where asked for) and the parents' results that these granted steps need, each once, smallest
-- task ids first, up to the size that a grant may carry. Sizes are stored, so that nothing large is read to be left out.
create or replace function tasker_engine.payloads(_task_ids uuid[], _numbers int[], _with_inputs boolean)
returns setof tasker_engine.reply language plpgsql as $$
#variable_conflict use_column
begin
  return query
  with owner as materialized (
    select t.task_id, t.template_id from tasker_engine.tasks t where t.task_id = any (_task_ids)),
  granted as materialized (
    select g.task_id, g.number, o.template_id
    from unnest(_task_ids, _numbers) as g(task_id, number) join owner o on o.task_id = g.task_id),
  joining as materialized (
    select ts.template_id, ts.number, ts.parents
    from (select distinct template_id, number from granted) g
    join tasker_engine.template_steps ts on ts.template_id = g.template_id and ts.number = g.number
    where ts.parents <> '{}'),
  parent as materialized (
    select distinct g.task_id, p.number
    from granted g join joining j on j.template_id = g.template_id and j.number = g.number
    cross join lateral unnest(j.parents) as p(number)),
  needed as (
    select i.task_id, 0 as number, i.bytes, i.context as payload, i.correlation_id
    from tasker_engine.inputs i where _with_inputs and i.task_id = any (_task_ids)
    union all
    select p.task_id, p.number, s.result_bytes, s.result, null
    from parent p join tasker_engine.steps s on s.task_id = p.task_id and s.number = p.number
    where s.result_bytes is not null)
  select case when f.number = 0 then 'inputs' else 'result' end, f.task_id, nullif(f.number, 0), null::int, null::int, null::int,
    f.payload::text, case when f.correlation_id is not null then json_build_object('correlation_id', f.correlation_id) end
  from (select n.*, sum(n.bytes) over (order by n.task_id, n.number) as total from needed n) f
  where f.total <= tasker_engine.setting('grant_payload_bytes');
end $$;
