-- clock: the engine's time. A verb calls it after its locks, so that history is in the order in which things happened.
-- Only a database set up for tests (`tasker.test_clock = on`) accepts a time that the caller names.
create or replace function tasker_engine.clock(_now timestamptz) returns timestamptz language plpgsql as $$
begin
  if _now is null then
    return clock_timestamp();
  end if;
  if coalesce(current_setting('tasker.test_clock', true), 'off') <> 'on' then
    raise exception 'the time may be given only where the database setting tasker.test_clock is on' using errcode = 'TK001';
  end if;
  return _now;
end $$;
