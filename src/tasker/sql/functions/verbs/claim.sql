-- claim: grants the session further steps, up to the free slots of each pool, and never waits.
--
-- What has come due is promoted first. Namespaces take turns; inside one the lane with the most urgent head comes first.
-- With _may_be_alone a suspect (a step that lost its worker) may be granted, alone: the worker then finishes what it holds,
-- and runs it with nothing beside it. Answers batch, grant, inputs and result rows, or, where nothing waits, `next`.
create or replace function tasker_engine.claim(
  _session int, _channels int[], _pools int[], _free int[], _may_be_alone boolean, _now timestamptz default null)
returns setof tasker_engine.reply language plpgsql as $$
declare
  task_ids uuid[] := '{}';
  numbers int[] := '{}';
  places tid[];
begin
  if not tasker_engine.turn_lock(_session) then
    return query select 'session_ended', null::uuid, null::int, null::int, null::int, null::int, null::text, null::json;
    return;
  end if;
  _now := tasker_engine.clock(_now);
  perform tasker_engine.promote_due(_now - make_interval(secs => tasker_engine.setting('due_lookback_s')), 200, _now);
  if _may_be_alone then
    select * into task_ids, numbers, places from tasker_engine.take_one_suspect(_channels);
  end if;
  if cardinality(task_ids) = 0 then
    select * into task_ids, numbers, places from tasker_engine.take_from_heads(_channels, _pools, _free);
  end if;
  if cardinality(task_ids) = 0 then
    return query select 'next', null::uuid, null::int, null::int, null::int, null::int, null::text,
      json_build_object('due_s', tasker_engine.next_due_s(_now));
    return;
  end if;
  return query select * from tasker_engine.grant_steps(_session, task_ids, places, _now);
  return query select * from tasker_engine.payloads(task_ids, numbers, true);
end $$;
