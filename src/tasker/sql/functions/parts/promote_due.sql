-- promote_due: steps whose time has come, since _since, become ready; busy ones are left for the next call. Answers how many.
create or replace function tasker_engine.promote_due(_since timestamptz, _most int, _now timestamptz) returns int language plpgsql set enable_indexscan = on set enable_bitmapscan = off set enable_hashjoin = off as $$
declare promoted int := 0;
begin
  if not exists (select from tasker_engine.due where due_at > _since and due_at <= _now) then
    return 0;
  end if;
  with picked as (
    select d.due_at, d.attempt = s.attempt as is_current, s.task_id, s.number, t.class, t.born_at, t.paused_at, ts.channel_id, s.state as before
    from tasker_engine.due d
    join tasker_engine.tasks t on t.task_id = d.task_id
    join tasker_engine.steps s on s.task_id = d.task_id and s.number = d.number
    cross join lateral (
      select * from tasker_engine.template_steps p where p.template_id = t.template_id and p.number = tasker_engine.plan_number(d.number) offset 0) ts  -- offset 0: probed by the whole key
    where d.due_at > _since and d.due_at <= _now
    order by d.due_at limit _most
    for update of d skip locked for no key update of t skip locked for no key update of s skip locked),
  removed as (
    delete from tasker_engine.due d using picked p
    where d.due_at = p.due_at and d.task_id = p.task_id and d.number = p.number),
  moved as (
    update tasker_engine.steps s set state = 'enqueued', moves = s.moves + 1
    from picked p where s.task_id = p.task_id and s.number = p.number and p.is_current
      and p.before in ('pending', 'waiting_for_retry')
    returning s.task_id, s.number, s.moves, s.tries, s.is_suspect, p.class, p.born_at, p.paused_at, p.channel_id, p.before),
  queued as (
    insert into tasker_engine.ready (lane, task_id, number, born_at)
    select tasker_engine.lane(channel_id, case when is_suspect then 2 when before = 'pending' then 0 else 1 end, class),
      task_id, number, born_at
    from moved where paused_at is null),
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, at)
    select task_id, number, moves, before, 'enqueued', _now from moved),
  settled as (
    select count(*) from tasker_engine.settle(
      array(select row(task_id, 0, 0, -1, 0)::tasker_engine.task_change from moved), false, _now))
  select count(*) into promoted from moved, settled;
  return promoted;
end $$;

-- next_due_s: seconds until the next step is due; null where none is.
create or replace function tasker_engine.next_due_s(_now timestamptz) returns double precision language plpgsql stable
set enable_indexscan = on set enable_bitmapscan = off set enable_hashjoin = off as $$
begin
  return (select extract(epoch from d.due_at - _now) from tasker_engine.due d where d.due_at > _now order by d.due_at limit 1);
end $$;
