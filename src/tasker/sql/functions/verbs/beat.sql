-- beat: keeps a session alive, notes which steps have really started (and how many seconds ago), and names the attempts
-- that the worker holds no longer. Answers session_ended, gone rows, `peers` (info.idle: other sessions that idle) and, where an
-- operator wants something of the session, `wanted` (payload paused or drained).
create or replace function tasker_engine.beat(
  _session int, _is_idle boolean, _stale_outcomes bigint,
  _started_tasks uuid[], _started_numbers int[], _started_attempts int[], _started_ago_s double precision[],
  _held_tasks uuid[], _held_numbers int[], _held_attempts int[], _now timestamptz default null)
returns setof tasker_engine.reply language plpgsql as $$
declare
  wanted_now text;
begin
  perform tasker_engine.require_read_committed();
  _now := tasker_engine.clock(_now);
  update tasker_engine.sessions
  set beat_at = greatest(beat_at, _now), is_idle = _is_idle and wanted is null, stale_outcomes = stale_outcomes + _stale_outcomes
  where session_id = _session and ended_at is null
  returning wanted into wanted_now;
  if not found then
    return query select 'session_ended', null::uuid, null::int, null::int, null::int, null::int, null::text, null::json;
  end if;
  if wanted_now is not null then
    return query select 'wanted', null::uuid, null::int, null::int, null::int, null::int, wanted_now, null::json;
  end if;
  with picked as (
    select s.task_id, s.number, b.ago_s
    from unnest(_started_tasks, _started_numbers, _started_attempts, _started_ago_s) as b(task_id, number, attempt, ago_s)
    join tasker_engine.steps s on s.task_id = b.task_id and s.number = b.number
    where s.state = 'in_progress' and s.attempt = b.attempt and s.session_id = _session
    for no key update of s skip locked)
  update tasker_engine.steps s set started_at = greatest(s.granted_at, _now - make_interval(secs => p.ago_s))
  from picked p where s.task_id = p.task_id and s.number = p.number;
  return query
  select 'gone', h.task_id, h.number, h.attempt, null::int, null::int, null::text, null::json
  from unnest(_held_tasks, _held_numbers, _held_attempts) as h(task_id, number, attempt)
  where not exists (
    select from tasker_engine.steps s where s.task_id = h.task_id and s.number = h.number and s.state = 'in_progress'
      and s.attempt = h.attempt and s.session_id = _session);
  return query
  select 'peers', null::uuid, null::int, null::int, null::int, null::int, null::text, json_build_object('idle', count(*))
  from tasker_engine.sessions o where o.ended_at is null and o.is_idle and o.session_id <> _session;
end $$;
