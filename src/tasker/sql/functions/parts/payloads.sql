-- payloads: the contexts (where asked for) and the parents' results that these granted steps need, each once, smallest
-- task ids first, up to the size that a grant may carry. Sizes are stored, so that nothing large is read to be left out.
-- Members of batches get what they work on as well, up to the same size, but not the list that it was taken from.
create or replace function tasker_engine.payloads(_task_ids uuid[], _numbers int[], _with_inputs boolean)
returns setof tasker_engine.reply language plpgsql as $$
#variable_conflict use_column
begin
  return query
  with owner as materialized (
    select t.task_id, t.template_id from tasker_engine.tasks t where t.task_id = any (_task_ids)),
  granted as materialized (
    select g.task_id, g.number, tasker_engine.plan_number(g.number) as plan, o.template_id
    from unnest(_task_ids, _numbers) as g(task_id, number) join owner o on o.task_id = g.task_id),
  joining as materialized (
    select ts.template_id, ts.number, ts.parents,
      case when ts.batch ? 'path' then (ts.batch ->> 'source')::int else 0 end as items_from
    from (select distinct template_id, plan from granted) g
    cross join lateral (  -- offset 0: probed by the whole key
      select * from tasker_engine.template_steps p where p.template_id = g.template_id and p.number = g.plan offset 0) ts
    where ts.parents <> '{}'),
  parent as materialized (
    select distinct g.task_id, p.number
    from granted g join joining j on j.template_id = g.template_id and j.number = g.plan
    cross join lateral unnest(j.parents) as p(number)
    where g.plan = g.number or p.number <> j.items_from),
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
  if 65536 <= any (_numbers) then
    return query
    select r.* from (
      select i.*, sum(pg_column_size(i.payload)) over (order by i.task_id, i.number) as total
      from tasker_engine.member_items(_task_ids, _numbers) i) f
    cross join lateral (
      select f.kind, f.task_id, f.number, f.attempt, f.tries, f.template_id, f.payload, f.info) r
    where f.total is null or f.total <= tasker_engine.setting('grant_payload_bytes');
  end if;
end $$;

-- member_items: what these members of batches work on, and how they are called in their batch.
create or replace function tasker_engine.member_items(_task_ids uuid[], _numbers int[])
returns setof tasker_engine.reply language plpgsql stable as $$
begin
  return query
  select 'item', i.task_id, i.number, null::int, null::int, null::int, i.cursor::text,
    json_build_object('batch_id', i.batch_id, 'items', i.items)
  from unnest(_task_ids, _numbers) as w(task_id, number)
  cross join lateral (
    select * from tasker_engine.batch_items n where n.task_id = w.task_id and n.number = w.number and w.number >= 65536 offset 0) i;
end $$;
