-- act_on_breaker: what an operator does to a breaker: open it (_options: for_s, seconds; without it until somebody resets it),
-- reset it (it is closed, and counts from nothing), or set its limits (failure_threshold, success_threshold, probes, reset_s,
-- reset_max_s; null: the fleet's). Recorded with actor and reason; a repeat with the same _act_id answers what the first did.
create or replace function tasker_engine.act_on_breaker(
  _act_id uuid, _action text, _name text, _options jsonb, _actor text, _reason text, _now timestamptz default null)
returns jsonb language plpgsql as $$
declare
  before tasker_engine.breakers;
  breaker tasker_engine.breakers;
begin
  perform tasker_engine.require_read_committed();
  perform pg_advisory_xact_lock(hashtextextended(_act_id::text, 0));
  if exists (select from tasker_engine.breaker_moves m where m.act_id = _act_id) then
    return (select jsonb_build_object('action', m.detail ->> 'action', 'name', b.name, 'state', m.to_state)
            from tasker_engine.breaker_moves m join tasker_engine.breakers b on b.breaker_id = m.breaker_id where m.act_id = _act_id);
  end if;
  select * into before from tasker_engine.breakers b where b.name = _name for no key update;
  if not found then
    raise exception 'there is no breaker "%"', _name using errcode = 'TK018',
      hint = '`tasker breaker list` shows those that templates and handlers name';
  end if;
  _now := tasker_engine.clock(_now);
  perform tasker_engine.check_breaker_action(_action, _options);
  breaker := before;
  if _action = 'open' then
    breaker.state := 'open';
    breaker.open_until := _now + make_interval(secs => (_options ->> 'for_s')::float8);
    breaker.successes := 0;
  elsif _action = 'reset' then
    breaker := tasker_engine.closed(breaker);
    delete from tasker_engine.breaker_signals g where g.breaker_id = before.breaker_id;
  else
    breaker := jsonb_populate_record(breaker, _options);
  end if;
  perform tasker_engine.move_breaker(before, breaker, _now,
    _options || jsonb_build_object('action', _action, 'open_until', breaker.open_until), _actor, _reason, _act_id);
  return jsonb_build_object('action', _action, 'name', _name, 'state', breaker.state);
end $$;

-- check_breaker_action: refuses what no breaker can do, and limits that are none.
create or replace function tasker_engine.check_breaker_action(_action text, _options jsonb) returns void language plpgsql as $$
declare
  known text[] := case _action when 'open' then array['for_s'] when 'reset' then '{}'
    when 'set' then array['failure_threshold', 'success_threshold', 'probes', 'reset_s', 'reset_max_s'] end;
  wrong record;
begin
  if known is null then
    raise exception 'there is no action "%" on a breaker: it is one of open, reset, set', _action using errcode = 'TK012';
  end if;
  select o.key, o.value into wrong from jsonb_each(_options) o
  where o.key <> all (known) or o.value <> 'null' and case when jsonb_typeof(o.value) <> 'number' then true
    when o.key in ('for_s', 'reset_s', 'reset_max_s') then not o.value::float8 between 0.001 and 31536000
    else not (o.value::float8 between 1 and 1000000 and o.value::float8 = floor(o.value::float8)) end
  limit 1;
  if found and wrong.key <> all (known) then
    raise exception '"%" is no option of the action "%" on a breaker', wrong.key, _action using errcode = 'TK008';
  end if;
  if found then
    raise exception '% cannot be %', wrong.key, wrong.value using errcode = 'TK008',
      hint = 'seconds are 0.001 to 31536000, counts whole numbers from 1 to 1000000';
  end if;
  if _action = 'set' and _options = '{}' then
    raise exception 'nothing is to be set: name a limit' using errcode = 'TK008';
  end if;
end $$;
