-- grow: what a report means for batches. Their cursors are kept, steps that ask for it get their members, and members that
-- ended are counted.
--
-- _done are the steps that were recorded as complete, _ended what members of batches change that have ended. Answers the steps
-- that were expanded, the batches that are complete, and how the counters of the tasks change besides.
create or replace function tasker_engine.grow(
  _session int, _held tasker_engine.held_task[], _task_ids uuid[], _numbers int[], _attempts int[], _kinds text[], _cursors jsonb[],
  _done_tasks uuid[], _done_numbers int[], _ended tasker_engine.batch_change[], _now timestamptz,
  out recorded_tasks uuid[], out recorded_numbers int[], out done_tasks uuid[], out done_numbers int[],
  out changes tasker_engine.task_change[]) language plpgsql as $$
declare
  expanded record;
  advanced record;
begin
  perform tasker_engine.store_cursors(_held, array_agg(o.task_id), array_agg(o.number), array_agg(o.cursors))
  from unnest(_task_ids, _numbers, _kinds, _cursors) as o(task_id, number, kind, cursors)
  join unnest(_done_tasks, _done_numbers) as d(task_id, number) on d.task_id = o.task_id and d.number = o.number
  where o.kind = 'batched';
  select * into expanded from tasker_engine.expand(_session, _held, _task_ids, _numbers, _attempts, _kinds, _now);
  select * into advanced from tasker_engine.advance_batches(_ended, _now);
  recorded_tasks := expanded.recorded_tasks;
  recorded_numbers := expanded.recorded_numbers;
  done_tasks := expanded.done_tasks || advanced.done_tasks;
  done_numbers := expanded.done_numbers || advanced.done_numbers;
  changes := expanded.changes || advanced.changes;
end $$;

-- expand: gives the steps whose fence holds, and that ask for it, their members: one for each cursor or item. The batch itself
-- then waits, pending, until its members have ended. A batch over an empty list is complete at once.
--
-- Answers the steps that it recorded, those of them that are complete, and how the counters of the tasks change. The caller
-- holds the tasks, and judge_batches has found nothing wrong.
create or replace function tasker_engine.expand(
  _session int, _held tasker_engine.held_task[], _task_ids uuid[], _numbers int[], _attempts int[], _kinds text[], _now timestamptz,
  out recorded_tasks uuid[], out recorded_numbers int[], out done_tasks uuid[], out done_numbers int[],
  out changes tasker_engine.task_change[]) language plpgsql as $$
declare
  one record;
  members int;
  released int;
begin
  recorded_tasks := '{}'; recorded_numbers := '{}'; done_tasks := '{}'; done_numbers := '{}'; changes := '{}';
  for one in
    select s.task_id, s.number, s.attempt, ts.batch
    from unnest(_task_ids, _numbers, _attempts, _kinds) as o(task_id, number, attempt, kind)
    join unnest(_held) h on h.task_id = o.task_id
    join tasker_engine.steps s on s.task_id = o.task_id and s.number = o.number
    cross join lateral (
      select * from tasker_engine.template_steps p where p.template_id = h.template_id and p.number = o.number offset 0) ts
    where o.kind = 'expanded' and s.state = 'in_progress' and s.attempt = o.attempt and s.session_id = _session
    order by s.task_id, s.number
  loop
    members := tasker_engine.make_members(one.task_id, one.number, one.batch, _now);
    recorded_tasks := recorded_tasks || one.task_id;
    recorded_numbers := recorded_numbers || one.number;
    with moved as (
      update tasker_engine.steps s
      set state = 'pending', waiting = 1, tries = s.tries + 1, is_suspect = false, moves = s.moves + 1, finished_at = null, error = null
      where s.task_id = one.task_id and s.number = one.number
      returning s.moves)
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, attempt, session_id, at, detail)
    select one.task_id, one.number, m.moves, 'in_progress', 'pending', one.attempt, _session, _now,
      jsonb_build_object('workers', members) from moved m;
    if members = 0 then
      perform tasker_engine.complete_batch(one.task_id, one.number, _now);
      done_tasks := done_tasks || one.task_id;
      done_numbers := done_numbers || one.number;
      changes := changes || row(one.task_id, -1, -1, 0, 0)::tasker_engine.task_change;
    else
      released := tasker_engine.release_members(one.task_id, one.number, _now);
      changes := changes || row(one.task_id, members, released - 1, 0, 0)::tasker_engine.task_change;
    end if;
  end loop;
end $$;

-- make_members: the rows of a batch and of its members, all of which wait for their turn. Where there is nothing to work on, a
-- batch of workers has one member that is told so; a batch over items has none. Answers how many there are.
create or replace function tasker_engine.make_members(_task_id uuid, _number int, _batch jsonb, _now timestamptz) returns int
language plpgsql as $$
declare members int;
begin
  if _batch ? 'path' then
    insert into tasker_engine.batch_items (task_id, number, batch_id, cursor, items)
    select _task_id, _number << 16 | i.place::int, lpad(i.place::text, greatest(3, length(i.place::text)), '0'), i.item, 1
    from jsonb_array_elements(tasker_engine.items_of(_task_id, _batch)) with ordinality as i(item, place);
  elsif not exists (select from tasker_engine.batch_items i
                    where i.task_id = _task_id and i.number between _number << 16 and _number << 16 | 65535) then
    insert into tasker_engine.batch_items (task_id, number, batch_id) values (_task_id, _number << 16, '000');
  end if;
  insert into tasker_engine.batches (task_id, number, failure_strategy, parallelism, total, items, expanded_at)
  select _task_id, _number, _batch ->> 'failure_strategy', (_batch ->> 'parallelism')::int, count(*), coalesce(sum(i.items), 0), _now
  from tasker_engine.batch_items i where i.task_id = _task_id and i.number between _number << 16 and _number << 16 | 65535
  returning total into members;
  insert into tasker_engine.steps (task_id, number, state, waiting)
  select _task_id, i.number, 'pending', 1
  from tasker_engine.batch_items i where i.task_id = _task_id and i.number between _number << 16 and _number << 16 | 65535
  order by i.number;
  return members;
end $$;

-- release_members: the next members whose turn has come, as far as the batch's parallelism allows. Those of a paused task wait
-- for nobody then, and become ready when it is resumed. Answers how many.
create or replace function tasker_engine.release_members(_task_id uuid, _number int, _now timestamptz) returns int
language plpgsql set enable_indexscan = on set enable_bitmapscan = off set enable_hashjoin = off as $$
declare
  batch tasker_engine.batches;
  task tasker_engine.tasks;
  channel int;
  released int;
begin
  select * into batch from tasker_engine.batches b where b.task_id = _task_id and b.number = _number;
  if batch.running >= least(batch.parallelism, batch.total) then
    return 0;
  end if;
  select * into task from tasker_engine.tasks t where t.task_id = _task_id;
  channel := (select p.channel_id from tasker_engine.template_steps p where p.template_id = task.template_id and p.number = _number);
  with next as (
    select s.ctid as place from tasker_engine.steps s
    where s.task_id = _task_id and s.number between _number << 16 | batch.next_index and _number << 16 | 65535
      and s.state = 'pending' and s.waiting = 1
    order by s.number limit batch.parallelism - batch.running),
  moved as (
    update tasker_engine.steps s
    set waiting = 0, state = case when task.paused_at is null then 'enqueued' else s.state end,
      moves = s.moves + (task.paused_at is null)::int
    from next n where s.ctid = n.place
    returning s.number, s.moves),
  queued as (
    insert into tasker_engine.ready (lane, task_id, number, born_at)
    select tasker_engine.lane(channel, 1, task.class), _task_id, m.number, task.born_at
    from moved m where task.paused_at is null order by m.number),
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at)
    select _task_id, m.number, m.moves, 'pending', 'enqueued', _now from moved m where task.paused_at is null),
  counted as (
    update tasker_engine.batches b
    set running = b.running + n.count, next_index = greatest(b.next_index, (n.last & 65535) + 1)
    from (select count(*)::int as count, max(m.number) as last from moved m) n
    where b.task_id = _task_id and b.number = _number and n.count > 0)
  select count(*) into released from moved;
  return released;
end $$;
