-- fail_unserved: a step whose handler no living session has ends in error after a time, if workers were there for all of
-- that time: where nobody works at all, work waits. What is in line no longer, or belongs to a paused task, leaves the lane
-- (a resumption puts it back), so that it does not hide what lies behind. Answers how many steps left their lanes.
create or replace function tasker_engine.fail_unserved(_most int, _now timestamptz) returns int language plpgsql
set enable_indexscan = on set enable_bitmapscan = off set enable_hashjoin = off as $$
#variable_conflict use_column
declare
  since timestamptz := _now - make_interval(secs => tasker_engine.setting('handler_missing_s'));
  stranded record;
  locked uuid[];
  changes tasker_engine.task_change[];
  ended tasker_engine.batch_change[];
  failed_tasks uuid[];
  failed_numbers int[];
  taken int;
begin
  if not exists (select from tasker_engine.sessions s where s.ended_at is null and s.started_at < since) then
    return 0;
  end if;
  select array_agg(u.lane) as lanes, array_agg(u.seq) as seqs, array_agg(u.task_id) as task_ids
  into stranded from tasker_engine.unserved(since, _most) u;
  locked := tasker_engine.lock_tasks(stranded.task_ids, false);
  with picked as materialized (
    select r.lane, r.seq, r.task_id, r.number
    from unnest(stranded.lanes, stranded.seqs) as w(lane, seq)
    join tasker_engine.ready r on r.lane = w.lane and r.seq = w.seq
    where r.task_id = any (locked) and tasker_engine.is_stranded(r.task_id, r.number, since)
    for update of r skip locked),
  removed as (delete from tasker_engine.ready r using picked p where r.lane = p.lane and r.seq = p.seq),
  moved as (
    update tasker_engine.steps s set state = 'error', moves = s.moves + 1, finished_at = _now,
      error = jsonb_build_object('error_type', 'handler_not_found', 'retryable', false,
        'message', 'no living worker has the handler "' || c.handler || '" in queue "' || c.queue || '"')
    from picked p
    join tasker_engine.tasks t on t.task_id = p.task_id
    cross join lateral (
      select * from tasker_engine.template_steps n where n.template_id = t.template_id and n.number = tasker_engine.plan_number(p.number) offset 0) ts  -- offset 0: probed by the whole key
    join tasker_engine.channels c on c.channel_id = ts.channel_id
    where s.task_id = p.task_id and s.number = p.number and s.state = 'enqueued' and t.paused_at is null
    returning s.task_id, s.number, s.moves, s.error),
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at, detail)
    select task_id, number, moves, 'enqueued', 'error', _now, error from moved)
  select array_agg(row(task_id, 0, -1, 0, 1)::tasker_engine.task_change),
    array_agg(row(task_id, number, -1, 0, 1)::tasker_engine.batch_change) filter (where number >= 65536), (select count(*) from picked),
    array_agg(task_id order by task_id, number), array_agg(number order by task_id, number)
  into changes, ended, taken, failed_tasks, failed_numbers from moved;
  perform tasker_engine.record_events(failed_tasks, failed_numbers, _now);
  perform tasker_engine.settle_members(changes, ended, _now);
  return taken;
end $$;

-- unserved: what has waited in lanes that no living session serves, and that were not paused meanwhile. A lane's steps wait in the order in which they came:
-- its first one tells whether to look further.
create or replace function tasker_engine.unserved(_since timestamptz, _most int)
returns table (lane int, seq bigint, task_id uuid) language plpgsql stable set enable_indexscan = on set enable_bitmapscan = off set enable_hashjoin = off as $$
declare
  paused int[] := tasker_engine.channels_paused_since(_since);
begin
  return query
  select r.lane, r.seq, r.task_id
  from tasker_engine.channels c
  join tasker_engine.lanes l on l.channel_id = c.channel_id
  cross join lateral tasker_engine.bound_of(l.lane) b
  cross join lateral (
    select f.task_id, f.number from tasker_engine.ready f where f.lane = l.lane and f.seq >= b.bound order by f.seq limit 1) first
  cross join lateral (
    select n.lane, n.seq, n.task_id, n.number from tasker_engine.ready n
    where n.lane = l.lane and n.seq >= b.bound and tasker_engine.is_stranded(first.task_id, first.number, _since)
    order by n.seq limit _most) r
  where not exists (select from tasker_engine.session_channels sc join tasker_engine.sessions s on s.session_id = sc.session_id
                    where sc.channel_id = c.channel_id and s.ended_at is null)
    and c.channel_id <> all (paused)
    and tasker_engine.is_stranded(r.task_id, r.number, _since)
  limit _most;
end $$;

-- is_stranded: what lies in a lane for nobody: a step that is ready no longer, one of a paused task, or one ready since long.
create or replace function tasker_engine.is_stranded(_task_id uuid, _number int, _since timestamptz) returns boolean
language plpgsql stable as $$
begin
  return (
    select s.state <> 'enqueued' or t.paused_at is not null or (
      select max(h.at) from tasker_engine.transitions h where h.task_id = _task_id and h.number = _number) < _since
    from tasker_engine.steps s join tasker_engine.tasks t on t.task_id = s.task_id
    where s.task_id = _task_id and s.number = _number);
end $$;
