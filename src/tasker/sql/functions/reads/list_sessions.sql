-- list_sessions: worker processes, the living ones and those that ended within _ended_within_s, newest first.
-- silent_s: since the last beat. held: steps that it runs now.
create or replace function tasker_engine.list_sessions(
  _ended_within_s double precision default 0, _limit int default 100, _now timestamptz default null)
returns table (
  session_uuid uuid, name text, host text, pid int, started_at timestamptz, beat_at timestamptz, silent_s double precision,
  lease_s double precision, is_idle boolean, stale_outcomes bigint, held int, handlers text[], queues text[],
  ended_at timestamptz, end_reason text, is_loss boolean)
language plpgsql stable as $$
#variable_conflict use_column
begin
  _now := coalesce(_now, clock_timestamp());
  return query
  select s.session_uuid, s.name, s.host, s.pid, s.started_at, s.beat_at, date_part('epoch', _now - s.beat_at), s.lease_s, s.is_idle,
    s.stale_outcomes, (select count(*)::int from tasker_engine.held_steps(s.session_id)),
    served.handlers, served.queues, s.ended_at, s.end_reason, s.is_loss
  from tasker_engine.sessions s
  cross join lateral (
    select array_agg(distinct c.handler) as handlers, array_agg(distinct c.queue) as queues
    from tasker_engine.session_channels sc join tasker_engine.channels c on c.channel_id = sc.channel_id
    where sc.session_id = s.session_id) served
  where s.ended_at is null or s.ended_at > _now - make_interval(secs => _ended_within_s)
  order by s.session_id desc
  limit _limit;
end $$;
