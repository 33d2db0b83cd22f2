-- raise_bounds: claims begin to look at a lane's bound, so that they need not pass rows that are gone but, because some
-- snapshot is open, cannot be removed. A bound rises to what had been handed out at some sweep before, once every
-- transaction of that time is over, so that no row can appear below it; for one that stays open longer than ten seconds it
-- does not wait. What such a one commits below is found by look_around, every few seconds, and moved up.
--
-- Bounds with more than two hundred such rows behind them rise; and those that are far behind, since entries of the index that
-- are known to be dead are passed without being counted until a vacuum comes. All lanes are looked at in one go first.
create or replace function tasker_engine.raise_bounds(_now timestamptz) returns void language plpgsql set enable_indexscan = on set enable_bitmapscan = off set enable_hashjoin = off as $$
declare
  sweep tasker_engine.sweeps;
  lane record;
  head bigint;
  passed bigint := tasker_engine.ready_rows_passed();
  last_seq bigint;
begin
  select * into sweep from tasker_engine.sweeps;
  if pg_snapshot_xmin(pg_current_snapshot()) < sweep.seen_before and _now - sweep.seen_at <= interval '10 s' then
    return;
  end if;
  perform count(h.seq)
  from tasker_engine.lanes l
  cross join lateral tasker_engine.bound_of(l.lane) b
  cross join lateral (
    select r.seq from tasker_engine.ready r where r.lane = l.lane and r.seq >= b.bound order by r.seq limit 1) h
  where b.bound < sweep.seq_seen - 200;
  if tasker_engine.ready_rows_passed() - passed > 200 or exists (
      select from tasker_engine.lanes l cross join lateral tasker_engine.bound_of(l.lane) b where b.bound < sweep.seq_seen - 50000) then
    for lane in
      select l.lane, b.bound from tasker_engine.lanes l cross join lateral tasker_engine.bound_of(l.lane) b
      where b.bound < sweep.seq_seen - 200 order by l.lane
    loop
      passed := tasker_engine.ready_rows_passed();
      select r.seq into head from tasker_engine.ready r where r.lane = lane.lane and r.seq >= lane.bound order by r.seq limit 1;
      head := least(sweep.seq_seen, head);
      if head > lane.bound and (tasker_engine.ready_rows_passed() - passed > 200 or lane.bound < sweep.seq_seen - 50000) then
        insert into tasker_engine.bounds (lane, bound) values (lane.lane, head);
        delete from tasker_engine.bounds b where b.lane = lane.lane and b.bound = lane.bound;
      end if;
    end loop;
  end if;
  last_seq := (select q.last_value from tasker_engine.ready_seq_seq q);
  -- The snapshot of a later statement: whoever has taken a number until now began before it.
  update tasker_engine.sweeps set seq_seen = last_seq, seen_at = _now, seen_before = pg_snapshot_xmax(pg_current_snapshot());
end $$;

-- ready_rows_passed: how many rows of the lanes this server process has come by, those that are gone included. It does not
-- move where the statistics of the server are off (track_counts); then bounds rise only when they are far behind.
create or replace function tasker_engine.ready_rows_passed() returns bigint language plpgsql volatile as $$
begin
  return pg_stat_get_xact_tuples_returned('tasker_engine.ready_pkey'::regclass);
end $$;
