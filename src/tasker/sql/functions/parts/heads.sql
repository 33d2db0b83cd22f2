-- heads: the first waiting step of each lane of these channels, suspects left out. It locks nothing.
create or replace function tasker_engine.heads(_channels int[], _pools int[])
returns table (lane int, namespace_id int, pool int, urgent_at timestamptz) language plpgsql stable set enable_indexscan = on as $$
begin
  return query
  select l.lane, c.namespace_id, served.pool, tasker_engine.urgency(h.born_at, l.class, tasker_engine.setting('priority_s'))
  from unnest(_channels, _pools) as served(channel_id, pool)
  join tasker_engine.lanes l on l.channel_id = served.channel_id and l.kind < 2
  cross join lateral (
    select r.born_at from tasker_engine.ready r where r.lane = l.lane and r.seq >= l.bound order by r.seq limit 1) h
  join tasker_engine.channels c on c.channel_id = l.channel_id;
end $$;
