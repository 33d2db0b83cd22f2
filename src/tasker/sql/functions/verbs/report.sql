-- report: records a batch of outcomes, frees what they free, hands freed steps to this session, ends tasks.
--
-- Outcomes are parallel arrays: the fence (_task_ids, _numbers, _attempts), _kinds (succeeded, decided, failed, retryable,
-- released), _payloads (JSON text: a result, or an error record), _retry_after_s (null: the step's own policy) and _run_s
-- (how long the handler ran). _finished_grants are grants of which nothing is held any more. _channels are what the
-- session serves, _pools the slot pool (1, 2, …) that each needs, _free the free slots of each pool, those of these
-- outcomes included. Task rows that another verb holds are passed over: their outcomes answer `deferred` and are sent
-- again; with _may_wait the verb stands in line for them, but not for longer than the setting report_wait_s: then it raises
-- 55P03 and has done nothing, so that whoever holds a task for minutes holds up that task only.
create or replace function tasker_engine.report(
  _session int, _task_ids uuid[], _numbers int[], _attempts int[], _kinds text[], _payloads text[],
  _retry_after_s double precision[], _run_s double precision[], _finished_grants bigint[],
  _channels int[], _pools int[], _free int[], _may_wait boolean default false,
  _now timestamptz default null, _chance double precision default null)
returns setof tasker_engine.reply language plpgsql as $$
declare
  is_alive boolean := tasker_engine.turn_lock(_session);
  held tasker_engine.held_task[];
  locked uuid[];
  done record;
  undone record;
  gone record;
  changes tasker_engine.task_change[] := '{}';
  recorded int;
begin
  delete from tasker_engine.grants g where g.ctid = any (array(
    select n.place from unnest(_finished_grants) f
    cross join lateral (
      select n.ctid as place from tasker_engine.grants n
      where n.session_id = _session and n.grant_no = f offset 0) n));  -- offset 0: probed by the whole key
  if not is_alive then
    _channels := '{}';
    return query select 'session_ended', null::uuid, null::int, null::int, null::int, null::int, null::text, null::json;
  end if;
  if _may_wait then
    perform set_config('lock_timeout', (tasker_engine.setting('report_wait_s') * 1000)::int::text, true);
  end if;
  held := tasker_engine.hold_tasks(_task_ids, _may_wait);
  _now := tasker_engine.clock(_now);
  if 'decided' = any (_kinds) then
    select * into _kinds, _payloads from tasker_engine.refuse_decisions(held, _task_ids, _numbers, _kinds, _payloads);
  end if;
  select * into done from tasker_engine.record_successes(
    _session, held, _task_ids, _numbers, _attempts, _kinds, _payloads, _run_s, _now);
  recorded := cardinality(done.done_tasks);
  if recorded < cardinality(_task_ids) then
    locked := array(select h.task_id from unnest(held) h);
    select * into undone from tasker_engine.record_failures(
      _session, locked, _task_ids, _numbers, _attempts, _kinds, _payloads, _retry_after_s, _run_s, _now, _chance);
    changes := undone.changes;
    recorded := recorded + cardinality(undone.done_tasks);
  end if;
  if 'decided' = any (_kinds) then
    select * into gone from tasker_engine.decide(held, done.done_tasks, done.done_numbers);
    changes := changes || array(select row(d, -1, -1, 0, 0)::tasker_engine.task_change from unnest(done.done_tasks) d);
    return query select * from tasker_engine.advance(_session, held, done.done_tasks || gone.gone_tasks,
      done.done_numbers || gone.gone_numbers,
      changes || array(select row(g, -1, 0, 0, 0)::tasker_engine.task_change from unnest(gone.gone_tasks) g),
      _channels, _pools, _free, _now);
  elsif recorded > 0 then
    return query select * from tasker_engine.advance(_session, held, done.done_tasks, done.done_numbers,
      changes || array(select row(d, -1, -1, 0, 0)::tasker_engine.task_change from unnest(done.done_tasks) d),
      _channels, _pools, _free, _now);
  end if;
  if recorded < cardinality(_task_ids) then
    return query select * from tasker_engine.verdicts(_session, locked, _task_ids, _numbers, _attempts,
      done.done_tasks || coalesce(undone.done_tasks, '{}'), done.done_numbers || coalesce(undone.done_numbers, '{}'));
  end if;
end $$;
