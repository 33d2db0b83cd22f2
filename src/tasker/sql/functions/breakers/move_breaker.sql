-- move_breaker: writes what became of a breaker whose row the caller holds, and its history where it moved or somebody acted.
create or replace function tasker_engine.move_breaker(
  _before tasker_engine.breakers, _after tasker_engine.breakers, _now timestamptz, _detail jsonb default null,
  _actor text default null, _reason text default null, _act_id uuid default null) returns void language plpgsql as $$
begin
  if _after = _before and _actor is null then
    return;
  end if;
  update tasker_engine.breakers b
  set state = _after.state, failures = _after.failures, successes = _after.successes, openings = _after.openings,
    open_until = _after.open_until, failure_threshold = _after.failure_threshold, success_threshold = _after.success_threshold,
    probes = _after.probes, reset_s = _after.reset_s, reset_max_s = _after.reset_max_s,
    moves = b.moves + (_after.state <> _before.state or _actor is not null)::int,
    changed_at = case when _after.state <> _before.state then _now else b.changed_at end
  where b.breaker_id = _before.breaker_id;
  if _after.state = 'closed' then
    perform tasker_engine.forget_probes(_before.breaker_id, true);
  end if;
  if _after.state <> _before.state or _actor is not null then
    insert into tasker_engine.breaker_moves (breaker_id, seq, from_state, to_state, at, actor, reason, detail, act_id)
    values (_before.breaker_id, _before.moves + 1, _before.state, _after.state, _now, _actor, _reason, _detail, _act_id);
  end if;
end $$;

-- opened: a breaker as it is when it has opened by itself: for longer each time in a row, up to its limit.
create or replace function tasker_engine.opened(_breaker tasker_engine.breakers, _now timestamptz)
returns tasker_engine.breakers language plpgsql stable as $$
declare
  limits record := tasker_engine.breaker_limits(_breaker);
begin
  _breaker.state := 'open';
  _breaker.open_until := _now + make_interval(
    secs => least(limits.reset_max_s, limits.reset_s * 2 ^ least(_breaker.openings, 30)));
  _breaker.openings := _breaker.openings + 1;
  _breaker.successes := 0;
  return _breaker;
end $$;

-- closed: a breaker as it is when it has closed.
create or replace function tasker_engine.closed(_breaker tasker_engine.breakers) returns tasker_engine.breakers
language plpgsql immutable as $$
begin
  _breaker.state := 'closed';
  _breaker.open_until := null;
  _breaker.failures := 0;
  _breaker.successes := 0;
  _breaker.openings := 0;
  return _breaker;
end $$;

-- forget_probes: those that run no longer, or _all of a breaker that has closed. A report that takes one off at this moment is
-- not waited for. Answers how many.
create or replace function tasker_engine.forget_probes(_breaker_id int, _all boolean) returns int language plpgsql as $$
declare forgotten int;
begin
  with gone as (
    select p.ctid as place from tasker_engine.breaker_probes p
    where p.breaker_id = _breaker_id and (_all or not exists (
      select from tasker_engine.steps s
      where s.task_id = p.task_id and s.number = p.number and s.state = 'in_progress' and s.attempt = p.attempt))
    for update of p skip locked)
  delete from tasker_engine.breaker_probes p using gone g where p.ctid = g.place;
  get diagnostics forgotten = row_count;
  return forgotten;
end $$;
