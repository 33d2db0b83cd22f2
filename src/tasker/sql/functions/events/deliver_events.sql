-- Delivery: what is published is handed to each subscriber at least once, the events of a task in their order.

-- subscribe: makes subscribers known (arrays of objects: name, patterns); what is published from now on is theirs.
create or replace function tasker_engine.subscribe(_subscribers jsonb, _now timestamptz default null) returns void language plpgsql as $$
begin
  insert into tasker_engine.event_subscribers as known (name, patterns, since)
  select s.name, s.patterns, tasker_engine.clock(_now) from jsonb_to_recordset(_subscribers) as s(name text, patterns text[])
  order by s.name
  on conflict (name) do update set patterns = excluded.patterns where known.patterns <> excluded.patterns;
end $$;

-- unsubscribe: forgets a subscriber and what it was still to be handed. Answers how many events that was; null: there is none.
create or replace function tasker_engine.unsubscribe(_name text) returns int language plpgsql as $$
declare
  dropped int;
begin
  delete from tasker_engine.event_subscribers s where s.name = _name;
  if not found then
    return null;
  end if;
  delete from tasker_engine.event_deliveries d where d.subscriber = _name;
  get diagnostics dropped = row_count;
  return dropped;
end $$;

-- take_deliveries: hands out, for a time, what these subscribers are to be handed next: of each task only the first. What was
-- taken too often by processes that were never heard of again is given up.
create or replace function tasker_engine.take_deliveries(
  _owner uuid, _subscribers text[], _most int, _lease_s double precision, _now timestamptz default null)
returns table (subscriber text, "position" bigint, tries int) language plpgsql set enable_indexscan = on as $$
#variable_conflict use_column
declare
  tries_max int := tasker_engine.setting('event_tries_max');
begin
  perform tasker_engine.require_read_committed();
  _now := tasker_engine.clock(_now);
  return query
  with picked as materialized (
    select d.subscriber, d.position, d.tries from tasker_engine.event_deliveries d
    where d.subscriber = any (_subscribers) and d.failed_at is null and d.due_at <= _now
      and (d.leased_until is null or d.leased_until <= _now)
      and not exists (
        select from tasker_engine.event_deliveries p
        where p.subscriber = d.subscriber and p.task_id = d.task_id and p.position < d.position and p.failed_at is null)
    order by d.position limit _most for no key update skip locked),
  lost as (
    update tasker_engine.event_deliveries d
    set failed_at = _now, owner = null, leased_until = null,
      error = coalesce(d.error || '; then ', '') || 'the process ended while the subscriber ran'
    from picked p where d.subscriber = p.subscriber and d.position = p.position and p.tries >= tries_max)
  update tasker_engine.event_deliveries d
  set owner = _owner, leased_until = _now + make_interval(secs => _lease_s), tries = d.tries + 1
  from picked p where d.subscriber = p.subscriber and d.position = p.position and p.tries < tries_max
  returning d.subscriber, d.position, d.tries;
end $$;

-- hold_events: an owner that lives keeps what it has taken for longer.
create or replace function tasker_engine.hold_events(
  _owner uuid, _seqs bigint[], _subscribers text[], _positions bigint[], _lease_s double precision, _now timestamptz default null)
returns void language plpgsql as $$
begin
  _now := tasker_engine.clock(_now);
  update tasker_engine.events e set leased_until = _now + make_interval(secs => _lease_s)
  where e.seq = any (_seqs) and e.owner = _owner;
  update tasker_engine.event_deliveries d set leased_until = _now + make_interval(secs => _lease_s)
  from unnest(_subscribers, _positions) as h(subscriber, position)
  where d.subscriber = h.subscriber and d.position = h.position and d.owner = _owner;
end $$;

-- settle_deliveries: what this owner has handed over is done (error null), or is tried again after a while, but not for ever.
create or replace function tasker_engine.settle_deliveries(
  _owner uuid, _subscribers text[], _positions bigint[], _errors text[], _now timestamptz default null)
returns int language plpgsql as $$
declare
  tries_max int := tasker_engine.setting('event_tries_max');
  gone int;
begin
  perform tasker_engine.require_read_committed();
  _now := tasker_engine.clock(_now);
  delete from tasker_engine.event_deliveries d using unnest(_subscribers, _positions, _errors) as h(subscriber, position, error)
  where d.subscriber = h.subscriber and d.position = h.position and d.owner = _owner and h.error is null;
  get diagnostics gone = row_count;
  update tasker_engine.event_deliveries d
  set owner = null, leased_until = null, error = h.error, due_at = _now + make_interval(secs => tasker_engine.event_wait_s(d.tries)),
    failed_at = case when d.tries >= tries_max then _now end
  from unnest(_subscribers, _positions, _errors) as h(subscriber, position, error)
  where d.subscriber = h.subscriber and d.position = h.position and d.owner = _owner and h.error is not null;
  return gone;
end $$;
