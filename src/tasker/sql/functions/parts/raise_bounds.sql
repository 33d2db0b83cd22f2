-- raise_bounds: claims begin to look at a lane's bound, so that they need not pass rows that are gone but, because some
-- snapshot is open, cannot be removed. A bound rises to what had been handed out at some sweep before, once every
-- transaction of that time is over, so that no row can appear below it; for one that stays open longer than ten seconds it
-- does not wait. What such a one commits below is found by a look below, every few seconds, and moved up.
create or replace function tasker_engine.raise_bounds(_now timestamptz) returns void language plpgsql set enable_indexscan = on set enable_bitmapscan = off set enable_hashjoin = off as $$
declare
  sweep tasker_engine.sweeps;
  began timestamptz := clock_timestamp();
  last_seq bigint;
  strays int;
begin
  select * into sweep from tasker_engine.sweeps;
  if pg_snapshot_xmin(pg_current_snapshot()) >= sweep.seen_before or _now - sweep.seen_at > interval '10 s' then
    with next as (
      select l.lane, least(sweep.seq_seen, coalesce(h.seq, sweep.seq_seen)) as bound
      from tasker_engine.lanes l
      left join lateral (
        select r.seq from tasker_engine.ready r where r.lane = l.lane and r.seq >= l.bound order by r.seq limit 1) h on true
      where l.bound < sweep.seq_seen - 1000)
    update tasker_engine.lanes l set bound = n.bound from next n where l.lane = n.lane and n.bound > l.bound + 1000;
    last_seq := (select q.last_value from tasker_engine.ready_seq_seq q);
    -- The snapshot of a later statement: whoever has taken a number until now began before it.
    update tasker_engine.sweeps set seq_seen = last_seq, seen_at = _now, seen_before = pg_snapshot_xmax(pg_current_snapshot());
  end if;
  if _now - sweep.looked_below_at < make_interval(secs => greatest(2, sweep.looked_below_s * 50)) then
    return;
  end if;
  with stray as (
    delete from tasker_engine.ready r using (
      select b.lane, b.seq from tasker_engine.lanes l
      cross join lateral (
        select r.lane, r.seq from tasker_engine.ready r where r.lane = l.lane and r.seq < l.bound
        order by r.seq limit 2000 for update skip locked) b) b
    where r.lane = b.lane and r.seq = b.seq
    returning r.lane, r.task_id, r.number, r.born_at),
  moved as (
    insert into tasker_engine.ready (lane, task_id, number, born_at) select lane, task_id, number, born_at from stray)
  select count(*) into strays from stray;
  if strays < 2000 then
    update tasker_engine.sweeps set looked_below_at = _now, looked_below_s = extract(epoch from clock_timestamp() - began);
  end if;
end $$;
