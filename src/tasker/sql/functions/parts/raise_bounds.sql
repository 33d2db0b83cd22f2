-- raise_bounds: claims begin to look at a lane's bound, so that they need not pass rows that are gone but, because some
-- snapshot is open, cannot be removed. A bound never passes what was handed out since the last sweep; a row that a long
-- transaction committed below it later is found by a look below, every few seconds, and moved up.
create or replace function tasker_engine.raise_bounds(_now timestamptz) returns void language plpgsql set enable_indexscan = on set enable_bitmapscan = off set enable_hashjoin = off as $$
declare
  seen bigint;
  looked_at timestamptz;
  looked_s double precision;
  began timestamptz := clock_timestamp();
begin
  select w.seq_seen, w.looked_below_at, w.looked_below_s into seen, looked_at, looked_s from tasker_engine.sweeps w;
  with next as (
    select l.lane, least(seen, coalesce(h.seq, seen)) as bound
    from tasker_engine.lanes l
    left join lateral (
      select r.seq from tasker_engine.ready r where r.lane = l.lane and r.seq >= l.bound order by r.seq limit 1) h on true
    where l.bound < seen - 1000)
  update tasker_engine.lanes l set bound = n.bound from next n where l.lane = n.lane and n.bound > l.bound + 1000;
  update tasker_engine.sweeps set seq_seen = (select q.last_value from tasker_engine.ready_seq_seq q);
  if _now - looked_at < make_interval(secs => greatest(2, looked_s * 50)) then
    return;
  end if;
  with stray as (
    delete from tasker_engine.ready r using (
      select b.lane, b.seq from tasker_engine.lanes l
      cross join lateral (
        select r.lane, r.seq from tasker_engine.ready r where r.lane = l.lane and r.seq < l.bound
        order by r.seq limit 500 for update skip locked) b) b
    where r.lane = b.lane and r.seq = b.seq
    returning r.lane, r.task_id, r.number, r.born_at)
  insert into tasker_engine.ready (lane, task_id, number, born_at) select lane, task_id, number, born_at from stray;
  update tasker_engine.sweeps set looked_below_at = _now, looked_below_s = extract(epoch from clock_timestamp() - began);
end $$;
