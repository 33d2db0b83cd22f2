-- submit_here: submit by a process whose own session has nothing to do: what it can start at once is granted to it in the
-- same call, up to the free slots of each pool, and never lies waiting for a claim.
--
-- Arguments as of claim and submit. Answers a `submitted` row per task (payload `duplicate` where it existed before), and the
-- rows of a claim. A session that has ended is told so; its tasks are created all the same.
create or replace function tasker_engine.submit_here(
  _session int, _channels int[], _pools int[], _free int[],
  _namespace text, _template text, _version text, _task_ids uuid[], _contexts jsonb[],
  _options jsonb[] default null, _now timestamptz default null)
returns setof tasker_engine.reply language plpgsql as $$
declare
  turn int := tasker_engine.begin_turn(_session);
  taker tasker_engine.taker;
  done record;
begin
  if turn = 0 then
    return query select 'session_ended', null::uuid, null::int, null::int, null::int, null::int, null::text, null::json;
  else
    if turn = 3 then
      _channels := '{}';
      _pools := '{}';
    elsif turn = 2 and tasker_engine.is_any_in_trouble() then
      select * into _channels, _pools from tasker_engine.passable(_channels, _pools);
    end if;
    taker := row(_session, _channels, _pools, _free);
  end if;
  _now := tasker_engine.clock(_now);
  done := tasker_engine.submit_tasks(_namespace, _template, _version, _task_ids, _contexts, _options, _now, taker);
  return query select 'submitted', m.id, null::int, null::int, null::int, null::int,
    case when m.is_duplicate then 'duplicate' end, null::json
  from unnest(done.ids, done.are_duplicates) as m(id, is_duplicate);
  if cardinality(done.taken_tasks) > 0 then
    return query select * from tasker_engine.grant_new(_session, done.taken_tasks, done.taken_numbers);
  end if;
end $$;

-- grant_new: first steps that were in process from the start, as rows of a claim.
create or replace function tasker_engine.grant_new(_session int, _task_ids uuid[], _numbers int[])
returns setof tasker_engine.reply language plpgsql as $$
begin
  return query
  with granted as (
    insert into tasker_engine.grants (session_id, task_ids, numbers) values (_session, _task_ids, _numbers) returning grant_no),
  task as materialized (
    select t.task_id, t.template_id, t.is_checked, i.bytes, i.context, i.correlation_id, sum(i.bytes) over (order by t.task_id) as total
    from (select distinct u.task_id from unnest(_task_ids) as u(task_id)) g
    cross join lateral (select * from tasker_engine.tasks n where n.task_id = g.task_id offset 0) t
    cross join lateral (select * from tasker_engine.inputs n where n.task_id = g.task_id offset 0) i)
  select 'batch', null::uuid, null::int, null::int, null::int, null::int, g.grant_no::text, null::json from granted g
  union all
  select 'grant', t.task_id, u.number, 1, 0, t.template_id, null,
    case when not t.is_checked then json_build_object('is_alone', false, 'is_unchecked', true) end
  from unnest(_task_ids, _numbers) as u(task_id, number) join task t on t.task_id = u.task_id
  union all
  select 'inputs', t.task_id, null, null, null, null, t.context::text,
    case when t.correlation_id is not null then json_build_object('correlation_id', t.correlation_id) end
  from task t where t.total <= tasker_engine.setting('grant_payload_bytes');
end $$;
