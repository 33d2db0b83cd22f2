-- why_breaker (kind `breaker`): ready steps that wait because the breaker of what they depend on is open. Nothing has a
-- breaker yet: whoever brings them answers here a row for each such step, with data: breaker, state, open_until, error.
create or replace function tasker_engine.why_breaker(_task tasker_engine.tasks, _now timestamptz)
returns table (number int, kind text, said text, data jsonb) language plpgsql stable as $$
begin
  return;
end $$;
