-- prune_tasks: deletes tasks that ended before _before, with all that is written about them, in the order of their ends, after
-- (_after_at, _after_id), and not many more than _most steps. A task whose entry in the dead letter queue is pending stays; so does
-- one that somebody holds. The key under which a task was submitted is free again with it.
-- Answers how many went, and what was looked at last (null: nothing was left to look at).
create or replace function tasker_engine.prune_tasks(
  _before timestamptz, _after_at timestamptz, _after_id uuid, _most int,
  out pruned int, out last_at timestamptz, out last_id uuid) language plpgsql
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_indexscan = on set jit = off as $$
declare
  looked uuid[];
  gone uuid[];
begin
  pruned := 0;
  with next as (
    select t.task_id, t.finished_at, t.template_id from tasker_engine.tasks t
    where t.finished_at < _before and (t.finished_at, t.task_id) > (_after_at, _after_id) and t.template_id > 0
    order by t.finished_at, t.task_id limit 500),
  sized as (
    select n.*, p.step_count + coalesce((select sum(b.total) from tasker_engine.batches b where b.task_id = n.task_id), 0) as steps
    from next n cross join lateral (select * from tasker_engine.templates q where q.template_id = n.template_id offset 0) p),
  fitting as (
    select s.task_id, s.finished_at, sum(s.steps) over (order by s.finished_at, s.task_id) - s.steps as steps_before from sized s)
  select array_agg(f.task_id order by f.finished_at, f.task_id), max(f.finished_at) into looked, last_at
  from fitting f where f.steps_before < _most;
  last_id := looked[cardinality(looked)];
  gone := array(
    select t.task_id from tasker_engine.tasks t
    where t.task_id = any (looked) and t.finished_at < _before
      and not exists (select from tasker_engine.dlq d where d.task_id = t.task_id and d.status = 'pending')
    for update skip locked);
  pruned := cardinality(gone);
  if pruned > 0 then
    perform tasker_engine.forget_keys(gone);
    perform tasker_engine.drop_strays(gone);
    delete from tasker_engine.dlq d where d.task_id = any (gone);
    delete from tasker_engine.forks f where f.task_id = any (gone);
    delete from tasker_engine.checkpoints c where c.task_id = any (gone);
    delete from tasker_engine.batch_items b where b.task_id = any (gone);
    delete from tasker_engine.batches b where b.task_id = any (gone);
    delete from tasker_engine.acts a where a.task_id = any (gone);
    delete from tasker_engine.transitions h where h.task_id = any (gone);
    delete from tasker_engine.steps s where s.task_id = any (gone);
    delete from tasker_engine.inputs i where i.task_id = any (gone);
    delete from tasker_engine.tasks t where t.task_id = any (gone);
  end if;
end $$;

-- forget_keys: the identities of tasks, and the fields of their inputs by which they are found.
create or replace function tasker_engine.forget_keys(_task_ids uuid[]) returns void language plpgsql
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_indexscan = on set jit = off as $$
begin
  delete from tasker_engine.identities d using (
    select t.task_id, t.namespace_id, p.name, tasker_engine.identity_key(p.identity_strategy, i.context, i.idempotency_key) as key
    from tasker_engine.tasks t
    join tasker_engine.inputs i on i.task_id = t.task_id
    join tasker_engine.templates p on p.template_id = t.template_id
    where t.task_id = any (_task_ids)) w
  where d.namespace_id = w.namespace_id and d.template = w.name and d.key = w.key and d.task_id = w.task_id;
  delete from tasker_engine.task_fields d using (
    select t.task_id, f.field_id, tasker_engine.field_value(i.context #> f.keys) as value
    from tasker_engine.tasks t
    join tasker_engine.inputs i on i.task_id = t.task_id
    join tasker_engine.template_fields f on f.template_id = t.template_id
    where t.task_id = any (_task_ids)) w
  where d.field_id = w.field_id and d.value = w.value and d.task_id = w.task_id;
end $$;

-- drop_strays: rows of the lanes, and of the times that steps wait for, which mean nothing any more, because an operator or a
-- failed batch has ended their steps. Nothing leads from a task to them, so only tasks that can have some are looked at.
create or replace function tasker_engine.drop_strays(_task_ids uuid[]) returns void language plpgsql
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_indexscan = on set jit = off as $$
declare
  suspects uuid[] := array(
    select w from unnest(_task_ids) w
    where exists (select from tasker_engine.acts a where a.task_id = w) or exists (select from tasker_engine.batches b where b.task_id = w));
begin
  if suspects = '{}' then
    return;
  end if;
  delete from tasker_engine.ready r using (
    select distinct l.lane from tasker_engine.tasks t
    join tasker_engine.template_steps p on p.template_id = t.template_id
    join tasker_engine.lanes l on l.channel_id = p.channel_id
    where t.task_id = any (suspects)) w
  where r.lane = w.lane and r.task_id = any (suspects);
  delete from tasker_engine.due d where d.task_id = any (suspects);
end $$;
