-- look_around: what gets dearer with every row that is gone but cannot be removed, because some snapshot is open: attempts
-- past their timeout, and what was committed below the bound of its lane. At most every two seconds, and one part in fifty
-- of the time. Answers how many attempts timed out.
create or replace function tasker_engine.look_around(_most int, _now timestamptz) returns int language plpgsql as $$
declare
  sweep tasker_engine.sweeps;
  began timestamptz := clock_timestamp();
  overdue int;
  strays int;
begin
  select * into sweep from tasker_engine.sweeps;
  if _now - sweep.looked_below_at < make_interval(secs => greatest(2, sweep.looked_below_s * 50)) then
    return 0;
  end if;
  overdue := tasker_engine.fail_overdue(_most, _now);
  strays := tasker_engine.lift_strays(2000);
  if overdue < _most and strays < 2000 then
    update tasker_engine.sweeps set looked_below_at = _now, looked_below_s = extract(epoch from clock_timestamp() - began);
  end if;
  return overdue;
end $$;

-- lift_strays: moves rows from below the bounds of their lanes to the ends. Answers how many.
create or replace function tasker_engine.lift_strays(_most int) returns int language plpgsql
set enable_indexscan = on set enable_bitmapscan = off set enable_hashjoin = off as $$
declare
  strays int;
begin
  with stray as (
    delete from tasker_engine.ready r using (
      select below.lane, below.seq from tasker_engine.lanes l
      cross join lateral tasker_engine.bound_of(l.lane) b
      cross join lateral (
        select r.lane, r.seq from tasker_engine.ready r where r.lane = l.lane and r.seq < b.bound
        order by r.seq limit _most for update skip locked) below) s
    where r.lane = s.lane and r.seq = s.seq
    returning r.lane, r.task_id, r.number, r.born_at),
  moved as (
    insert into tasker_engine.ready (lane, task_id, number, born_at) select lane, task_id, number, born_at from stray)
  select count(*) into strays from stray;
  return strays;
end $$;
