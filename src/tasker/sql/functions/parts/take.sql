-- take: removes up to _count rows from the head of a lane, with their step rows locked. What another verb holds stays. A
-- suspect that a pause left in an ordinary lane is not taken there: it lies in its lane of suspects too.
create or replace function tasker_engine.take(_lane int, _count int, out task_ids uuid[], out numbers int[]) language plpgsql set enable_indexscan = on as $$
begin
  with picked as (
    select r.seq, s.task_id, s.number, l.kind < 2 and s.is_suspect as is_elsewhere
    from tasker_engine.lanes l
    join tasker_engine.ready r on r.lane = l.lane and r.seq >= l.bound
    join tasker_engine.steps s on s.task_id = r.task_id and s.number = r.number
    where l.lane = _lane order by r.seq limit _count
    for update of r skip locked for no key update of s skip locked),
  removed as (
    delete from tasker_engine.ready r using picked p where r.lane = _lane and r.seq = p.seq returning p.task_id, p.number, p.is_elsewhere)
  select coalesce(array_agg(task_id), '{}'), coalesce(array_agg(number), '{}') into task_ids, numbers
  from removed where not is_elsewhere;
end $$;

-- take_from_lanes: fills the free slots, first with an equal share for each namespace that has work, then with what waits.
create or replace function tasker_engine.take_from_lanes(
  _channels int[], _pools int[], _free int[], out task_ids uuid[], out numbers int[]) language plpgsql as $$
declare
  head record;
  taken record;
  room int;
  total int := (select sum(f) from unnest(_free) f);
  left_of_share int := 0;
  namespace int := 0;
  salt int := floor(random() * 1000000);
begin
  task_ids := '{}';
  numbers := '{}';
  for head in
    with waiting as materialized (select * from tasker_engine.heads(_channels, _pools)),
    spread as (select count(distinct w.namespace_id)::int as namespaces from waiting w)
    select w.lane, w.pool, w.namespace_id, s.namespaces, share.round
    from spread s
    cross join generate_series(case when s.namespaces > 1 then 1 else 2 end, 2) as share(round)
    cross join waiting w
    order by share.round, hashint4(w.namespace_id # salt), w.namespace_id, w.urgent_at
  loop
    if head.round = 1 and head.namespace_id <> namespace then
      namespace := head.namespace_id;
      left_of_share := greatest(1, total / head.namespaces);
    end if;
    room := least(_free[head.pool], case when head.round = 1 then left_of_share else _free[head.pool] end);
    continue when room <= 0;
    select * into taken from tasker_engine.take(head.lane, room);
    task_ids := task_ids || taken.task_ids;
    numbers := numbers || taken.numbers;
    _free[head.pool] := _free[head.pool] - cardinality(taken.task_ids);
    left_of_share := left_of_share - cardinality(taken.task_ids);
  end loop;
end $$;

-- take_suspect: one step that lost its worker before, if any waits in these channels.
create or replace function tasker_engine.take_suspect(_channels int[], out task_ids uuid[], out numbers int[]) language plpgsql set enable_indexscan = on as $$
declare
  suspect_lane int;
begin
  task_ids := '{}';
  numbers := '{}';
  for suspect_lane in
    select l.lane from tasker_engine.lanes l
    cross join lateral (
      select r.born_at from tasker_engine.ready r where r.lane = l.lane and r.seq >= l.bound order by r.seq limit 1) h
    where l.channel_id = any (_channels) and l.kind = 2
    order by tasker_engine.urgency(h.born_at, l.class, tasker_engine.setting('priority_s'))
  loop
    select * into task_ids, numbers from tasker_engine.take(suspect_lane, 1);
    exit when cardinality(task_ids) > 0;
  end loop;
end $$;
