-- claim: grants the session further steps, up to the free slots of each pool, and never waits.
--
-- What has come due is promoted first, then probes of half-open breakers are taken. Namespaces take turns; inside one the lane
-- with the most urgent head comes first. With _may_be_alone a suspect (a step that lost its worker) may be granted, alone: the
-- worker then finishes what it holds, and runs it with nothing beside it. Answers batch, grant, inputs and result rows, or,
-- where nothing waits, `next`. A session that an operator has paused is granted nothing.
create or replace function tasker_engine.claim(
  _session int, _channels int[], _pools int[], _free int[], _may_be_alone boolean, _now timestamptz default null)
returns setof tasker_engine.reply language plpgsql as $$
declare
  given timestamptz := _now;
  task_ids uuid[] := '{}';
  numbers int[] := '{}';
  places tid[];
  turn int := tasker_engine.begin_turn(_session);
  is_probing boolean := false;
  is_alone boolean := false;
  probes record;
begin
  if turn = 0 then
    return query select 'session_ended', null::uuid, null::int, null::int, null::int, null::int, null::text, null::json;
    return;
  end if;
  _now := tasker_engine.clock(_now);
  perform tasker_engine.promote_due(_now - make_interval(secs => tasker_engine.setting('due_lookback_s')), 200, _now);
  if turn = 3 then
    _channels := '{}';
    _pools := '{}';
  elsif turn = 2 and tasker_engine.is_any_in_trouble() then
    select * into _channels, _pools from tasker_engine.unpaused(_channels, _pools);
    select * into probes from tasker_engine.take_probes(_channels, _pools, _free, _may_be_alone);
    select * into _channels, _pools from tasker_engine.passable(_channels, _pools);
    _free := probes.free;
    is_probing := cardinality(probes.task_ids) > 0;
    is_alone := probes.is_alone;
  end if;
  if _may_be_alone and not is_probing then
    select * into task_ids, numbers, places from tasker_engine.take_one_suspect(_channels);
  end if;
  if cardinality(task_ids) = 0 and not is_alone then
    select * into task_ids, numbers, places from tasker_engine.take_from_heads(_channels, _pools, _free);
  end if;
  if is_probing then
    task_ids := probes.task_ids || task_ids;
    numbers := probes.numbers || numbers;
    places := probes.places || places;
  end if;
  if cardinality(task_ids) = 0 then
    return query select 'next', null::uuid, null::int, null::int, null::int, null::int, null::text, json_build_object('due_s',
      case when turn >= 2 then tasker_engine.next_due_or_probe_s(_now) else tasker_engine.next_due_s(_now) end);
    return;
  end if;
  -- The clock again: what has become free since this call began is granted after that, in its history too.
  return query select * from tasker_engine.grant_steps(_session, task_ids, places, tasker_engine.clock(given));
  return query select * from tasker_engine.payloads(task_ids, numbers, true);
end $$;
