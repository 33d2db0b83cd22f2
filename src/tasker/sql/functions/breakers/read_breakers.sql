-- read_breakers: breakers by name (null: all). waiting: ready steps behind it, counted up to _count_max; running_probes: steps
-- that run while it is half open; for_s: seconds until it lets probes through; why: a sentence for people, null while closed.
create or replace function tasker_engine.read_breakers(
  _names text[] default null, _count_max int default 10000, _now timestamptz default null)
returns table (
  name text, state text, failures int, successes int, openings int, changed_at timestamptz, open_until timestamptz,
  for_s double precision, running_probes int, waiting int, handlers text[], failure_threshold int, success_threshold int, probes int,
  reset_s double precision, reset_max_s double precision, why text) language sql stable as $$
  select * from tasker_engine.read_breakers_of(_names, null, _count_max, _now)
$$;

-- read_breakers_of: the same of breakers that steps of these namespaces depend on (null: of all), and of what waits behind them
-- what is of these namespaces.
create or replace function tasker_engine.read_breakers_of(
  _names text[], _namespaces text[], _count_max int default 10000, _now timestamptz default null)
returns table (
  name text, state text, failures int, successes int, openings int, changed_at timestamptz, open_until timestamptz,
  for_s double precision, running_probes int, waiting int, handlers text[], failure_threshold int, success_threshold int, probes int,
  reset_s double precision, reset_max_s double precision, why text)
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_indexscan = on set enable_indexonlyscan = on set enable_seqscan = off as $$
#variable_conflict use_column
declare
  reached int[] := array(select n.namespace_id from tasker_engine.namespaces n where n.name = any (_namespaces));
begin
  _now := coalesce(_now, clock_timestamp());
  return query
  select b.name, b.state, b.failures, b.successes, b.openings, nullif(b.changed_at, 'epoch'), b.open_until,
    greatest(0, date_part('epoch', b.open_until - _now)),
    (select count(*)::int from tasker_engine.breaker_probes p where p.breaker_id = b.breaker_id), behind.waiting, behind.handlers,
    l.failure_threshold, l.success_threshold, l.probes, l.reset_s, l.reset_max_s,
    tasker_engine.breaker_says(b.name, b.state, b.open_until)
  from tasker_engine.breakers b
  cross join lateral tasker_engine.breaker_limits(b) l
  cross join lateral (
    select least(_count_max, coalesce(sum(r.ready), 0))::int as waiting, coalesce(array_agg(distinct c.handler), '{}') as handlers
    from tasker_engine.channels c
    join tasker_engine.lanes n on n.channel_id = c.channel_id
    cross join lateral tasker_engine.bound_of(n.lane) head
    cross join lateral (
      select count(*) as ready from (
        select from tasker_engine.ready w where w.lane = n.lane and w.seq >= head.bound order by w.seq limit _count_max) w) r
    where c.breaker_id = b.breaker_id and (_namespaces is null or c.namespace_id = any (reached))) behind
  where b.breaker_id > 0 and (_names is null or b.name = any (_names))
    and (_namespaces is null or exists (
      select from tasker_engine.channels c where c.breaker_id = b.breaker_id and c.namespace_id = any (reached)))
  order by b.name;
end $$;

-- read_breaker_moves: the history of a breaker, the newest move first.
create or replace function tasker_engine.read_breaker_moves(_name text, _limit int default 100)
returns table (seq int, from_state text, to_state text, at timestamptz, actor text, reason text, detail json)
language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  select m.seq, m.from_state, m.to_state, m.at, m.actor, m.reason, m.detail::json
  from tasker_engine.breakers b
  cross join lateral (
    select * from tasker_engine.breaker_moves n where n.breaker_id = b.breaker_id order by n.seq desc limit _limit) m
  where b.name = _name
  order by m.seq desc;
end $$;
