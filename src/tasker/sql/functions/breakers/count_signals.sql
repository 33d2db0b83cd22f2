-- count_signals: counts what outcomes have said of a breaker, in their order, and moves it. Nobody waits: if another holds the
-- breaker's row, its signals lie until the next call. Answers whether it moved.
--
-- While closed, failures in a row open it. While half open only its probes count: one that fails opens it again, and enough
-- that succeed close it. What was granted before it last moved says nothing of the system as it is now.
create or replace function tasker_engine.count_signals(_breaker_id int, _now timestamptz) returns boolean language plpgsql as $$
declare
  before tasker_engine.breakers;
  breaker tasker_engine.breakers;
  limits record;
  signal record;
begin
  select * into before from tasker_engine.breakers b where b.breaker_id = _breaker_id for no key update skip locked;
  if not found then
    return false;
  end if;
  breaker := before;
  limits := tasker_engine.breaker_limits(breaker);
  for signal in
    with taken as (delete from tasker_engine.breaker_signals g where g.breaker_id = _breaker_id returning g.*)
    select * from taken t order by t.signal_no
  loop
    if breaker.state = 'half_open' and signal.is_probe then
      breaker.successes := breaker.successes + 1;
      if not signal.is_success then
        breaker := tasker_engine.opened(breaker, _now);
      elsif breaker.successes >= limits.success_threshold then
        breaker := tasker_engine.closed(breaker);
      end if;
    elsif breaker.state = 'closed' and before.state = 'closed' and signal.granted_at >= before.changed_at then
      breaker.failures := case when signal.is_success then 0 else breaker.failures + 1 end;
      if breaker.failures >= limits.failure_threshold then
        breaker := tasker_engine.opened(breaker, _now);
      end if;
    end if;
  end loop;
  perform tasker_engine.move_breaker(before, breaker, _now, jsonb_build_object(
    'failures', breaker.failures, 'openings', breaker.openings, 'open_until', breaker.open_until));
  return breaker.state <> before.state;
end $$;
