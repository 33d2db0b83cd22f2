-- advance_batches: what follows for batches when their members have ended, or were revived by hand. The next members take
-- their turn. A failure under `fail_fast` fails the batch, and none that waits is started before it is mended; under
-- `isolate` it counts for nobody but the batch. A batch whose members have all ended is complete.
--
-- Answers the batches that are complete: for the caller they have come to satisfy their children, as complete steps have; and
-- how the counters of the tasks change, beside what the members themselves change. The caller holds the tasks.
create or replace function tasker_engine.advance_batches(
  _ended tasker_engine.batch_change[], _now timestamptz,
  out done_tasks uuid[], out done_numbers int[], out changes tasker_engine.task_change[]) language plpgsql as $$
declare
  one record;
  batch tasker_engine.batches;
  state tasker_engine.state;
  released int;
begin
  done_tasks := '{}'; done_numbers := '{}'; changes := '{}';
  for one in
    select c.task_id, c.number >> 16 as number, sum(c.running)::int as running, sum(c.succeeded)::int as succeeded,
      sum(c.failed)::int as failed, sum(i.items * -least(c.running, 0)) as items
    from unnest(_ended) c
    cross join lateral (select n.items from tasker_engine.batch_items n where n.task_id = c.task_id and n.number = c.number) i
    group by c.task_id, c.number >> 16 order by c.task_id, c.number >> 16
  loop
    update tasker_engine.batches b
    set running = b.running + one.running, succeeded = b.succeeded + one.succeeded, failed = b.failed + one.failed,
      items_done = b.items_done + one.items
    where b.task_id = one.task_id and b.number = one.number
    returning * into batch;
    state := (select s.state from tasker_engine.steps s where s.task_id = one.task_id and s.number = one.number);
    if batch.failure_strategy = 'isolate' then
      changes := changes || row(one.task_id, -one.failed, 0, 0, -one.failed)::tasker_engine.task_change;
    end if;
    continue when state not in ('pending', 'error');  -- an operator has settled it
    if batch.failure_strategy = 'fail_fast' and batch.failed > 0 then
      changes := changes || row(one.task_id, 0, -tasker_engine.hold_members(one.task_id, one.number, _now), 0,
        tasker_engine.move_batch(one.task_id, one.number, 'error', _now))::tasker_engine.task_change;
      continue;
    end if;
    changes := changes || row(one.task_id, 0, tasker_engine.release_members(one.task_id, one.number, _now), 0,
      -tasker_engine.move_batch(one.task_id, one.number, 'pending', _now))::tasker_engine.task_change;
    if batch.succeeded + batch.failed = batch.total then
      perform tasker_engine.complete_batch(one.task_id, one.number, _now);
      done_tasks := done_tasks || one.task_id;
      done_numbers := done_numbers || one.number;
      changes := changes || row(one.task_id, -1, 0, 0, 0)::tasker_engine.task_change;
    end if;
  end loop;
end $$;

-- hold_members: members that were to start do not: they wait for their turn again. What is being granted at this moment runs.
-- Answers how many. (Their rows in the lanes mean nothing any more: a claim looks at the step.)
create or replace function tasker_engine.hold_members(_task_id uuid, _number int, _now timestamptz) returns int
language plpgsql set enable_indexscan = on set enable_bitmapscan = off set enable_hashjoin = off as $$
declare held int;
begin
  with free as (
    select s.ctid as place, s.state from tasker_engine.steps s
    where s.task_id = _task_id and s.number between _number << 16 and _number << 16 | 65535
      and (s.state = 'enqueued' and s.tries = 0 and not s.is_suspect or s.state = 'pending' and s.waiting = 0)
    for no key update skip locked),
  moved as (
    update tasker_engine.steps s set state = 'pending', waiting = 1, moves = s.moves + (f.state = 'enqueued')::int
    from free f where s.ctid = f.place
    returning s.number, s.moves, s.attempt, f.state as before),
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at, detail)
    select _task_id, m.number, m.moves, m.before, 'pending', _now, '{"held": "the batch has failed"}'
    from moved m where m.before = 'enqueued'),
  counted as (
    update tasker_engine.batches b set running = b.running - n.count, next_index = least(b.next_index, n.first & 65535)
    from (select count(*)::int as count, min(m.number) as first from moved m) n
    where b.task_id = _task_id and b.number = _number and n.count > 0)
  select count(*) into held from moved;
  return held;
end $$;

-- move_batch: a batch that has failed, or may go on again. Answers 1 if it was not so before, else 0.
create or replace function tasker_engine.move_batch(_task_id uuid, _number int, _to tasker_engine.state, _now timestamptz) returns int
language plpgsql as $$
begin
  with moved as (
    update tasker_engine.steps s
    set state = _to, moves = s.moves + 1, finished_at = case when _to = 'error' then _now end,
      error = case when _to = 'error' then jsonb_build_object('error_type', 'batch_failed', 'error_code', 'batch_failed', 'retryable', false,
        'message', 'a member of the batch failed, and its failure_strategy is fail_fast') end
    where s.task_id = _task_id and s.number = _number and s.state <> _to
    returning s.moves, s.error)
  insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at, detail)
  select _task_id, _number, m.moves, case when _to = 'error' then 'pending' else 'error' end::tasker_engine.state, _to, _now, m.error
  from moved m;
  return case when found then 1 else 0 end;
end $$;

-- complete_batch: a batch whose members have all ended. Its result is their count; what they returned stays with them.
create or replace function tasker_engine.complete_batch(_task_id uuid, _number int, _now timestamptz) returns void language sql as $$
  with moved as (
    update tasker_engine.steps s
    set state = 'complete', waiting = 0, moves = s.moves + 1, finished_at = _now, result = r.result,
      result_bytes = octet_length(r.result::text)
    from (select jsonb_build_object('total', b.total, 'succeeded', b.succeeded, 'failed', b.failed, 'items', b.items) as result
          from tasker_engine.batches b where b.task_id = _task_id and b.number = _number) r
    where s.task_id = _task_id and s.number = _number
    returning s.moves)
  insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at)
  select _task_id, _number, m.moves, 'pending', 'complete', _now from moved m
$$;

-- ended_members: the changes that members of batches bring about which succeeded, or failed for good (see record_failures).
create or replace function tasker_engine.ended_members(
  _done_tasks uuid[], _done_numbers int[], _undone_tasks uuid[], _undone_numbers int[], _undone tasker_engine.task_change[])
returns tasker_engine.batch_change[] language sql immutable as $$
  select array(
    select row(d.task_id, d.number, -1, 1, 0)::tasker_engine.batch_change
    from unnest(_done_tasks, _done_numbers) as d(task_id, number) where d.number >= 65536
    union all
    select row(u.task_id, u.number, -1, 0, 1)::tasker_engine.batch_change
    from unnest(_undone_tasks, _undone_numbers) with ordinality as u(task_id, number, place)
    where u.number >= 65536 and _undone[u.place].failed = 1)
$$;

-- settle_members: settle, for callers whose failed steps may be members of batches. _ended: what those change; null: none.
create or replace function tasker_engine.settle_members(
  _changes tasker_engine.task_change[], _ended tasker_engine.batch_change[], _now timestamptz) returns void language plpgsql as $$
declare
  held tasker_engine.held_task[];
  grown record;
begin
  if coalesce(cardinality(_ended), 0) = 0 then
    perform tasker_engine.settle(_changes, true, _now);
    return;
  end if;
  held := tasker_engine.hold_tasks(array(select distinct c.task_id from unnest(_changes) c), true);
  select * into grown from tasker_engine.advance_batches(_ended, _now);
  perform tasker_engine.advance(null, held, grown.done_tasks, grown.done_numbers, _changes || grown.changes, '{}', '{}', '{}', _now);
end $$;
