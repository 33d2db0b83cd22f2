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
  first_seq bigint := (select last_value from tasker_engine.ready_seq_seq);
  ids uuid[];
  are_duplicates boolean[];
  taken record;
begin
  select array_agg(s.task_id), array_agg(s.is_duplicate) into ids, are_duplicates
  from tasker_engine.submit(_namespace, _template, _version, _task_ids, _contexts, _options, _now) s;
  return query select 'submitted', d.task_id, null::int, null::int, null::int, null::int,
    case when d.is_duplicate then 'duplicate' end, null::json
  from unnest(ids, are_duplicates) as d(task_id, is_duplicate);
  if turn = 0 then
    return query select 'session_ended', null::uuid, null::int, null::int, null::int, null::int, null::text, null::json;
    return;
  end if;
  if turn = 2 and tasker_engine.is_any_in_trouble() then
    select * into _channels, _pools from tasker_engine.passable(_channels, _pools);
  end if;
  select * into taken from tasker_engine.take_new(
    array(select d.id from unnest(ids, are_duplicates) as d(id, is_duplicate) where not is_duplicate), first_seq,
    _channels, _pools, _free);
  if cardinality(taken.task_ids) > 0 then
    return query select * from tasker_engine.grant_steps(_session, taken.task_ids, taken.places, tasker_engine.clock(_now));
    return query select * from tasker_engine.payloads(taken.task_ids, taken.numbers, true);
  end if;
end $$;

-- take_new: removes from the lanes what this transaction has put there for these new tasks, from _first_seq on, as far as
-- there is room. Nobody else has seen these rows, and nobody else can hold their steps.
create or replace function tasker_engine.take_new(
  _task_ids uuid[], _first_seq bigint, _channels int[], _pools int[], _free int[],
  out task_ids uuid[], out numbers int[], out places tid[]) language plpgsql as $$
begin
  with lying as materialized (
    select r.ctid as ready_place, r.task_id, r.number, served.pool,
      row_number() over (partition by served.pool order by r.seq) as rank
    from unnest(_channels, _pools) as served(channel_id, pool)
    cross join lateral (
      select n.lane from tasker_engine.lanes n where n.channel_id = served.channel_id and n.kind = 0 offset 0) l
    cross join lateral (
      select n.ctid, n.seq, n.task_id, n.number from tasker_engine.ready n
      where n.lane = l.lane and n.seq >= _first_seq and n.task_id = any (_task_ids) offset 0) r),
  removed as (
    delete from tasker_engine.ready r using lying l where r.ctid = l.ready_place and l.rank <= _free[l.pool])
  select coalesce(array_agg(l.task_id), '{}'), coalesce(array_agg(l.number), '{}'), coalesce(array_agg(s.place), '{}')
  into task_ids, numbers, places
  from lying l
  cross join lateral (
    select n.ctid as place from tasker_engine.steps n where n.task_id = l.task_id and n.number = l.number offset 0) s
  where l.rank <= _free[l.pool];
end $$;
