-- checkpoint: notes how far steps have come that the session runs, each under its fence. A repeat after a lost reply changes
-- nothing. What another verb holds at the moment answers `deferred`, and is sent again.
--
-- _states are objects: cursor (any JSON), items_processed, accumulated. Answers a `verdict` row per step: recorded, stale or
-- deferred. `tasker.checkpoint_history` says how many earlier cursors are kept.
create or replace function tasker_engine.checkpoint(
  _session int, _task_ids uuid[], _numbers int[], _attempts int[], _states jsonb[], _now timestamptz default null)
returns setof tasker_engine.reply language plpgsql as $$
#variable_conflict use_column
begin
  perform tasker_engine.require_read_committed();
  return query
  with asked as materialized (
    select * from unnest(_task_ids, _numbers, _attempts, _states) as a(task_id, number, attempt, state)),
  held as materialized (
    select s.task_id, s.number, s.state = 'in_progress' and s.attempt = a.attempt and s.session_id = _session as is_held, a.state as said
    from asked a
    cross join lateral (
      select n.* from tasker_engine.steps n where n.task_id = a.task_id and n.number = a.number for no key update skip locked) s),
  saved as (
    insert into tasker_engine.checkpoints as c (task_id, number, attempt, cursor, items_processed, accumulated, saved_at)
    select h.task_id, h.number, a.attempt, h.said -> 'cursor', coalesce((h.said ->> 'items_processed')::bigint, 0),
      h.said -> 'accumulated', tasker_engine.clock(_now)
    from held h join asked a on a.task_id = h.task_id and a.number = h.number where h.is_held
    on conflict (task_id, number) do update
    set attempt = excluded.attempt, cursor = excluded.cursor, items_processed = excluded.items_processed,
      accumulated = excluded.accumulated, saves = c.saves + 1, saved_at = excluded.saved_at,
      history = tasker_engine.kept_cursors(c.history || jsonb_build_array(
        jsonb_build_object('cursor', c.cursor, 'items_processed', c.items_processed, 'attempt', c.attempt, 'at', c.saved_at)))
    where (c.attempt, c.cursor, c.items_processed, c.accumulated) is distinct from
      (excluded.attempt, excluded.cursor, excluded.items_processed, excluded.accumulated)
    returning c.task_id)
  select 'verdict', a.task_id, a.number, a.attempt, null::int, null::int,
    case when h.task_id is not null and h.is_held then 'recorded'
      when h.task_id is not null or not exists (select from tasker_engine.steps s where s.task_id = a.task_id and s.number = a.number)
        then 'stale'
      else 'deferred' end, null::json
  from asked a left join held h on h.task_id = a.task_id and h.number = a.number;
end $$;

-- kept_cursors: the last of a history.
create or replace function tasker_engine.kept_cursors(_history jsonb) returns jsonb language sql stable as $$
  select coalesce(jsonb_agg(h.entry order by h.place), '[]')
  from jsonb_array_elements(_history) with ordinality as h(entry, place)
  where h.place > jsonb_array_length(_history) - tasker_engine.setting('checkpoint_history')
$$;

-- read_checkpoints: how far these steps have come, those that have said so.
create or replace function tasker_engine.read_checkpoints(_task_ids uuid[], _numbers int[])
returns table (task_id uuid, number int, attempt int, state json) language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  select c.task_id, c.number, c.attempt, json_build_object('cursor', c.cursor, 'items_processed', c.items_processed,
    'accumulated', c.accumulated, 'saves', c.saves, 'history', c.history, 'saved_at', c.saved_at)
  from unnest(_task_ids, _numbers) as a(task_id, number)
  cross join lateral (
    select * from tasker_engine.checkpoints n where n.task_id = a.task_id and n.number = a.number) c;
end $$;
