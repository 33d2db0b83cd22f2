-- repair: mends one kind of fault in tasks whose rows the caller holds; answers how many. What is wrong is looked for again,
-- now that nothing moves.
create or replace function tasker_engine.repair(_kind text, _task_ids uuid[], _now timestamptz) returns int language plpgsql as $$
declare repaired int;
begin
  if _kind = 'stuck' then
    return tasker_engine.repair_stuck(_task_ids, _now);
  elsif _kind = 'ready' then
    perform from tasker_engine.steps s where s.task_id = any (_task_ids) order by s.task_id, s.number for no key update;
    return (select tasker_engine.put_in_line(array_agg(l.task_id), array_agg(l.number)) from tasker_engine.lost_ready(_task_ids) l);
  elsif _kind = 'batches' then
    return tasker_engine.repair_batches(_task_ids, _now);
  elsif _kind = 'counters' then
    return tasker_engine.repair_counters(_task_ids, _now);
  elsif _kind = 'waiting' then
    update tasker_engine.steps s set waiting = w.is_right
    from tasker_engine.wrong_waiting(_task_ids) w where s.task_id = w.task_id and s.number = w.number;
  elsif _kind = 'due' then
    insert into tasker_engine.due (due_at, task_id, number, attempt)
    select _now, s.task_id, s.number, s.attempt
    from tasker_engine.lost_due(_task_ids) l join tasker_engine.steps s on s.task_id = l.task_id and s.number = l.number;
  elsif _kind = 'grants' then
    insert into tasker_engine.grants (session_id, task_ids, numbers)
    select l.session_id, array[l.task_id], array[l.number] from tasker_engine.lost_grants(_task_ids) l;
  end if;
  get diagnostics repaired = row_count;
  return repaired;
end $$;

-- repair_stuck: makes ready what waits for nobody. Answers how many.
create or replace function tasker_engine.repair_stuck(_task_ids uuid[], _now timestamptz) returns int language plpgsql as $$
declare
  task_ids uuid[];
  numbers int[];
begin
  with moved as (
    update tasker_engine.steps s set state = 'enqueued', moves = s.moves + 1
    from tasker_engine.stuck_steps(_task_ids) k where s.task_id = k.task_id and s.number = k.number
    returning s.task_id, s.number, s.moves),
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at, detail)
    select task_id, number, moves, 'pending', 'enqueued', _now, '{"actor": "doctor"}' from moved)
  select array_agg(m.task_id), array_agg(m.number) into task_ids, numbers from moved m;
  return tasker_engine.put_in_line(task_ids, numbers);
end $$;

-- put_in_line: ready rows for steps. Answers how many.
create or replace function tasker_engine.put_in_line(_task_ids uuid[], _numbers int[]) returns int language plpgsql as $$
declare put int;
begin
  insert into tasker_engine.ready (lane, task_id, number, born_at)
  select tasker_engine.lane(p.channel_id, case when s.is_suspect then 2 when p.parents = '{}' and s.tries = 0 then 0 else 1 end, t.class),
    s.task_id, s.number, t.born_at
  from unnest(_task_ids, _numbers) as w(task_id, number)
  join tasker_engine.tasks t on t.task_id = w.task_id
  join tasker_engine.steps s on s.task_id = w.task_id and s.number = w.number
  join tasker_engine.template_steps p on p.template_id = t.template_id and p.number = tasker_engine.plan_number(w.number);
  get diagnostics put = row_count;
  return put;
end $$;

-- repair_batches: the counters that the members say; then the batch goes on. Answers how many.
create or replace function tasker_engine.repair_batches(_task_ids uuid[], _now timestamptz) returns int language plpgsql as $$
declare
  task_ids uuid[];
  numbers int[];
begin
  with wrong as materialized (select * from tasker_engine.wrong_batches(_task_ids)),
  moved as (
    update tasker_engine.batches b
    set running = w.running, succeeded = w.succeeded, failed = w.failed, next_index = 0
    from wrong w where b.task_id = w.task_id and b.number = w.number
    returning b.task_id, b.number)
  select array_agg(m.task_id), array_agg(m.number) into task_ids, numbers from moved m;
  perform tasker_engine.settle_members(
    array(select row(w.id, 0, 0, 0, 0)::tasker_engine.task_change from unnest(task_ids) as w(id)),
    array(select row(w.task_id, i.number, 0, 0, 0)::tasker_engine.batch_change
          from unnest(task_ids, numbers) as w(task_id, number)
          cross join lateral (
            select min(n.number) as number from tasker_engine.batch_items n
            where n.task_id = w.task_id and n.number between w.number << 16 and w.number << 16 | 65535) i), _now);
  return coalesce(cardinality(task_ids), 0);
end $$;

-- repair_counters: the counters and the state that the steps say.
create or replace function tasker_engine.repair_counters(_task_ids uuid[], _now timestamptz) returns int language plpgsql as $$
declare repaired int;
begin
  with wrong as materialized (
    select w.*, t.state as before from tasker_engine.wrong_counters(_task_ids) w join tasker_engine.tasks t on t.task_id = w.task_id),
  moved as (
    update tasker_engine.tasks t
    set open = w.open, live = w.live, due = w.due, failed = w.failed, state = w.state, moves = t.moves + (w.state <> w.before)::int,
      finished_at = case when w.state in ('complete', 'error') then coalesce(t.finished_at, _now) end
    from wrong w where t.task_id = w.task_id
    returning t.task_id, t.moves, w.before, w.state as after),
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at, detail)
    select task_id, 0, moves, before, after, _now, '{"actor": "doctor"}' from moved where before <> after)
  select count(*) into repaired from moved;
  return repaired;
end $$;
