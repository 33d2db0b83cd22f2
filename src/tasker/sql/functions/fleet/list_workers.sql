-- list_workers: worker processes with all that is known of them: the living ones, and those that ended within _ended_within_s,
-- newest first.
--
-- state: running, paused, draining, ended. transport: direct, or gateway where a server speaks for it. handlers: an array of
-- {name, version}, as the worker announced them ('' where it said none). held: steps that it runs now; silent_s: since its beat.
create or replace function tasker_engine.list_workers(
  _ended_within_s double precision default 0, _limit int default 100, _now timestamptz default null)
returns table (
  session_uuid uuid, name text, host text, pid int, version text, transport text, state text, namespaces text[], queues text[],
  handlers json, held int, is_idle boolean, stale_outcomes bigint, started_at timestamptz, beat_at timestamptz,
  silent_s double precision, lease_s double precision, wanted_by text, wanted_reason text, wanted_at timestamptz,
  ended_at timestamptz, end_reason text, is_loss boolean)
language plpgsql stable as $$
#variable_conflict use_column
begin
  _now := coalesce(_now, clock_timestamp());
  return query
  select s.session_uuid, s.name, s.host, s.pid, coalesce(n.version, ''), case when r.session_id is null then 'direct' else 'gateway' end,
    tasker_engine.session_state(s.wanted, s.ended_at), coalesce(served.namespaces, '{}'), coalesce(served.queues, '{}'),
    said.handlers, (select count(*)::int from tasker_engine.held_steps(s.session_id)), s.is_idle, s.stale_outcomes, s.started_at,
    s.beat_at, date_part('epoch', _now - s.beat_at), s.lease_s, n.wanted_by, n.wanted_reason, n.wanted_at,
    s.ended_at, s.end_reason, s.is_loss
  from (
    select * from tasker_engine.sessions w
    where w.ended_at is null or w.ended_at > _now - make_interval(secs => _ended_within_s)
    order by w.session_id desc limit _limit) s
  left join tasker_engine.session_notes n on n.session_id = s.session_id
  left join tasker_engine.remote_sessions r on r.session_id = s.session_id
  cross join lateral (
    select array_agg(distinct m.name) as namespaces, array_agg(distinct c.queue) as queues, array_agg(distinct c.handler) as handlers
    from tasker_engine.session_channels sc
    join tasker_engine.channels c on c.channel_id = sc.channel_id
    join tasker_engine.namespaces m on m.namespace_id = c.namespace_id
    where sc.session_id = s.session_id) served
  cross join lateral (
    select coalesce(json_agg(json_build_object('name', h.name, 'version', coalesce(h.version, '')) order by h.name), '[]') as handlers
    from (
      select u.name, u.version from unnest(n.handlers, n.versions) as u(name, version)
      union all
      select v, '' from unnest(coalesce(r.handlers, served.handlers)) as v where n.handlers is null or n.handlers = '{}') h) said
  order by s.session_id desc;
end $$;
