-- fail_unserved: a step whose handler no living session has ends in error after a time, if workers were there for all of
-- that time: where nobody works at all, work waits. Answers how many.
create or replace function tasker_engine.fail_unserved(_most int, _now timestamptz) returns int language plpgsql
set enable_indexscan = on as $$
#variable_conflict use_column
declare
  since timestamptz := _now - make_interval(secs => tasker_engine.setting('handler_missing_s'));
  stranded record;
  locked uuid[];
  changes tasker_engine.task_change[];
begin
  if not exists (select from tasker_engine.sessions s where s.ended_at is null and s.started_at < since) then
    return 0;
  end if;
  select array_agg(r.task_id) as task_ids, array_agg(r.number) as numbers into stranded
  from tasker_engine.channels c
  join tasker_engine.lanes l on l.channel_id = c.channel_id
  cross join lateral (
    select r.task_id, r.number from tasker_engine.ready r where r.lane = l.lane and r.seq >= l.bound order by r.seq limit _most) r
  where not exists (select from tasker_engine.session_channels sc join tasker_engine.sessions s on s.session_id = sc.session_id
                    where sc.channel_id = c.channel_id and s.ended_at is null)
    and (select max(h.at) from tasker_engine.transitions h where h.task_id = r.task_id and h.number = r.number) < since;
  locked := tasker_engine.lock_tasks(stranded.task_ids[1:_most], false);
  with moved as (
    update tasker_engine.steps s set state = 'error', moves = s.moves + 1, finished_at = _now,
      error = jsonb_build_object('error_type', 'handler_not_found', 'retryable', false,
        'message', 'no living worker has the handler "' || c.handler || '" in queue "' || c.queue || '"')
    from unnest(stranded.task_ids, stranded.numbers) as w(task_id, number)
    join tasker_engine.tasks t on t.task_id = w.task_id
    join tasker_engine.template_steps ts on ts.template_id = t.template_id and ts.number = w.number
    join tasker_engine.channels c on c.channel_id = ts.channel_id
    where s.task_id = w.task_id and s.number = w.number and s.state = 'enqueued' and w.task_id = any (locked)
    returning s.task_id, s.number, s.moves, s.error),
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at, detail)
    select task_id, number, moves, 'enqueued', 'error', _now, error from moved)
  select array_agg(row(task_id, 0, -1, 0, 1)::tasker_engine.task_change) into changes from moved;
  perform tasker_engine.settle(changes, true, _now);
  return coalesce(cardinality(changes), 0);
end $$;
