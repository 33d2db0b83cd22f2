-- read_stats: how much lies where: tasks by state, waiting steps and living workers by channel, steps that wait for a time.
-- No count goes on beyond _count_max: a figure of that size means that or more.
create or replace function tasker_engine.read_stats(_count_max int default 10000, _now timestamptz default null)
returns table (tasks json, channels json, due int, sessions int, idle_sessions int)
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_indexscan = on set enable_indexonlyscan = on set enable_seqscan = off as $$
begin
  _now := coalesce(_now, clock_timestamp());
  return query
  select
    (select coalesce(json_object_agg(c.state, c.count) filter (where c.count > 0), '{}') from tasker_engine.count_by_state(_count_max) c),
    (select coalesce(json_agg(q order by q.namespace, q.queue, q.handler), '[]') from tasker_engine.read_channels(_count_max, _now) q),
    (select count(*)::int from (select from tasker_engine.due limit _count_max) d),
    count(*)::int, (count(*) filter (where s.is_idle))::int
  from tasker_engine.sessions s where s.ended_at is null;
end $$;

-- count_by_state: how many tasks of each state there are, up to _count_max; of a confined caller those that it reaches, by their
-- templates: with its owner's rights, as search_tasks.
create or replace function tasker_engine.count_by_state(_count_max int) returns table (state text, count int)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  reached record := tasker_engine.read_filter('{}');
begin
  return query
  select w.state::text, cardinality(tasker_engine.some_by_state(_count_max, reached.lowest, reached.above, array[w.state], reached.templates))
  from unnest(enum_range(null::tasker_engine.state)) as w(state);
end $$;

-- read_channels: by channel, the steps that are ready, the oldest one's age in seconds, and the living sessions that serve it.
create or replace function tasker_engine.read_channels(_count_max int default 10000, _now timestamptz default null)
returns table (namespace text, queue text, handler text, ready int, oldest_s double precision, sessions int)
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_indexscan = on set enable_indexonlyscan = on set enable_seqscan = off as $$
#variable_conflict use_column
begin
  _now := coalesce(_now, clock_timestamp());
  return query
  select n.name, c.queue, c.handler, least(_count_max, coalesce(sum(r.ready), 0))::int, date_part('epoch', _now - min(r.born_at)),
    (select count(*)::int from tasker_engine.session_channels sc join tasker_engine.sessions s on s.session_id = sc.session_id
     where sc.channel_id = c.channel_id and s.ended_at is null)
  from tasker_engine.channels c
  join tasker_engine.namespaces n on n.namespace_id = c.namespace_id
  join tasker_engine.lanes l on l.channel_id = c.channel_id
  cross join lateral tasker_engine.bound_of(l.lane) b
  cross join lateral (
    select count(*) as ready, min(w.born_at) as born_at
    from (select r.born_at from tasker_engine.ready r where r.lane = l.lane and r.seq >= b.bound order by r.seq limit _count_max) w) r
  group by n.name, c.queue, c.handler, c.channel_id;
end $$;
