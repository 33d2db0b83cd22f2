-- breaker_limits: a breaker's own limits, and the fleet's where it has none of its own. Durations in seconds.
create or replace function tasker_engine.breaker_limits(
  _breaker tasker_engine.breakers, out failure_threshold int, out success_threshold int, out probes int,
  out reset_s double precision, out reset_max_s double precision) language plpgsql stable as $$
begin
  failure_threshold := coalesce(_breaker.failure_threshold, tasker_engine.setting('breaker_failure_threshold')::int);
  success_threshold := coalesce(_breaker.success_threshold, tasker_engine.setting('breaker_success_threshold')::int);
  probes := coalesce(_breaker.probes, tasker_engine.setting('breaker_probes')::int);
  reset_s := coalesce(_breaker.reset_s, tasker_engine.setting('breaker_reset_s'));
  reset_max_s := greatest(reset_s, coalesce(_breaker.reset_max_s, tasker_engine.setting('breaker_reset_max_s')));
end $$;

-- breaker_says: why steps behind a breaker wait, as a sentence; null where it is closed.
create or replace function tasker_engine.breaker_says(_name text, _state text, _open_until timestamptz) returns text
language sql stable as $$
  select case _state
    when 'open' then 'breaker "' || _name || '" is open until ' || coalesce(
      to_char(_open_until at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'), 'somebody resets it')
    when 'half_open' then 'breaker "' || _name || '" is half open: it waits for its probes'
  end
$$;
