-- heads: the first waiting step of each lane of these channels, suspects left out. It locks nothing.
create or replace function tasker_engine.heads(_channels int[], _pools int[])
returns table (lane int, namespace_id int, pool int, urgent_at timestamptz) language plpgsql stable set enable_indexscan = on set enable_bitmapscan = off set enable_hashjoin = off as $$
begin
  return query
  select l.lane, (select c.namespace_id from tasker_engine.channels c where c.channel_id = served.channel_id), served.pool,
    tasker_engine.urgency(h.born_at, l.class, tasker_engine.setting('priority_s'))
  from unnest(_channels, _pools) as served(channel_id, pool)
  cross join lateral (
    select n.lane, n.class from tasker_engine.lanes n where n.channel_id = served.channel_id and n.kind < 2 offset 0) l
  cross join lateral tasker_engine.bound_of(l.lane) b
  cross join lateral (
    select r.born_at from tasker_engine.ready r where r.lane = l.lane and r.seq >= b.bound order by r.seq limit 1) h;
end $$;

-- suspect_heads: the same for steps that lost a worker.
create or replace function tasker_engine.suspect_heads(_channels int[])
returns table (lane int, urgent_at timestamptz) language plpgsql stable set enable_indexscan = on set enable_bitmapscan = off set enable_hashjoin = off as $$
begin
  return query
  select l.lane, tasker_engine.urgency(h.born_at, l.class, tasker_engine.setting('priority_s'))
  from unnest(_channels) as served(channel_id)
  cross join lateral (
    select n.lane, n.class from tasker_engine.lanes n where n.channel_id = served.channel_id and n.kind = 2 offset 0) l
  cross join lateral tasker_engine.bound_of(l.lane) b
  cross join lateral (
    select r.born_at from tasker_engine.ready r where r.lane = l.lane and r.seq >= b.bound order by r.seq limit 1) h;
end $$;
