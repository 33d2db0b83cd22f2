-- report: records a batch of outcomes, frees what they free, hands freed steps to this session, ends tasks.
--
-- Outcomes are parallel arrays: the fence (_task_ids, _numbers, _attempts), _kinds (succeeded, decided, batched, expanded,
-- failed, retryable, released), _payloads (JSON text: a result, or an error record), _retry_after_s (null: the step's own
-- policy) and _run_s (how long the handler ran). _finished_grants are grants of which nothing is held any more. _channels are what the
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
  turn int := tasker_engine.begin_turn(_session);
  is_growing boolean := _kinds && array['batched', 'expanded'] or 65536 <= any (_numbers);
  held tasker_engine.held_task[];
  locked uuid[];
  cursors jsonb[];
  recorded_tasks uuid[]; recorded_numbers int[];  -- what this call has recorded
  done_tasks uuid[]; done_numbers int[];  -- what satisfies its children from now on
  undone_tasks uuid[]; undone_numbers int[]; undone_changes tasker_engine.task_change[];  -- what failed
  gone record;
  grown record;
  changes tasker_engine.task_change[];
begin
  if _finished_grants <> '{}' then
    perform tasker_engine.drop_grants(_session, _finished_grants);
  end if;
  if turn = 0 then
    return query select 'session_ended', null::uuid, null::int, null::int, null::int, null::int, null::text, null::json;
  end if;
  if _may_wait then
    perform set_config('lock_timeout', (tasker_engine.setting('report_wait_s') * 1000)::int::text, true);
  end if;
  held := tasker_engine.hold_tasks(_task_ids, _may_wait);
  _now := tasker_engine.clock(_now);
  if is_growing then
    select * into _kinds, _payloads, cursors from tasker_engine.judge_batches(held, _task_ids, _numbers, _kinds, _payloads);
  end if;
  if 'decided' = any (_kinds) then
    select * into _kinds, _payloads from tasker_engine.refuse_decisions(held, _task_ids, _numbers, _kinds, _payloads);
  end if;
  select * into done_tasks, done_numbers, changes from tasker_engine.record_successes(
    _session, held, _task_ids, _numbers, _attempts, _kinds, _payloads, _run_s, _now);
  recorded_tasks := done_tasks;
  recorded_numbers := done_numbers;
  if cardinality(done_tasks) < cardinality(_task_ids) then
    locked := array(select h.task_id from unnest(held) h);
    select * into undone_tasks, undone_numbers, undone_changes from tasker_engine.record_failures(
      _session, locked, _task_ids, _numbers, _attempts, _kinds, _payloads, _retry_after_s, _run_s, _now, _chance);
    changes := changes || undone_changes;
    recorded_tasks := recorded_tasks || undone_tasks;
    recorded_numbers := recorded_numbers || undone_numbers;
  end if;
  if exists (select from tasker_engine.template_events e where e.template_id = any (array(select h.template_id from unnest(held) h))) then
    return query select * from tasker_engine.reported_events(recorded_tasks, recorded_numbers, _task_ids, _numbers, _kinds, _now);
  end if;
  if 'decided' = any (_kinds) then
    select * into gone from tasker_engine.decide(held, done_tasks, done_numbers);
    changes := changes || array(select row(g, -1, 0, 0, 0)::tasker_engine.task_change from unnest(gone.gone_tasks) g);
    done_tasks := done_tasks || gone.gone_tasks;
    done_numbers := done_numbers || gone.gone_numbers;
  end if;
  if is_growing then
    select * into grown from tasker_engine.grow(
      _session, held, _task_ids, _numbers, _attempts, _kinds, cursors, done_tasks, done_numbers,
      tasker_engine.ended_members(done_tasks, done_numbers, undone_tasks, undone_numbers, undone_changes), _now);
    changes := changes || grown.changes;
    done_tasks := done_tasks || grown.done_tasks;
    done_numbers := done_numbers || grown.done_numbers;
    recorded_tasks := recorded_tasks || grown.recorded_tasks;
    recorded_numbers := recorded_numbers || grown.recorded_numbers;
  end if;
  if turn >= 2 and tasker_engine.concern_breakers(_kinds, _payloads) then
    select * into _channels, _pools from tasker_engine.tell_breakers(held, _task_ids, _numbers, _attempts, _kinds, _payloads,
      recorded_tasks, recorded_numbers, _channels, _pools, _now);
  end if;
  if cardinality(recorded_tasks) > 0 then
    return query select * from tasker_engine.advance(_session, held, done_tasks, done_numbers, changes,
      case when turn in (0, 3) then '{}' else _channels end, _pools, _free, _now);
  end if;
  if cardinality(recorded_tasks) < cardinality(_task_ids) then
    return query select * from tasker_engine.verdicts(_session, locked, _task_ids, _numbers, _attempts, recorded_tasks, recorded_numbers);
  end if;
end $$;
