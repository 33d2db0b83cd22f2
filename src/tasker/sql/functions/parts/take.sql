-- take_from_heads: fills the free slots, first with an equal share for each namespace that has work, then with what waits.
-- Answers the steps taken, with the places of their rows.
create or replace function tasker_engine.take_from_heads(
  _channels int[], _pools int[], _free int[], out task_ids uuid[], out numbers int[], out places tid[]) language plpgsql as $$
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
  places := '{}';
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
    select * into taken from tasker_engine.take_head(head.lane, room);
    task_ids := task_ids || taken.task_ids;
    numbers := numbers || taken.numbers;
    places := places || taken.places;
    _free[head.pool] := _free[head.pool] - cardinality(taken.task_ids);
    left_of_share := left_of_share - cardinality(taken.task_ids);
  end loop;
end $$;

-- take_one_suspect: one step that lost its worker before, if any waits in these channels.
create or replace function tasker_engine.take_one_suspect(
  _channels int[], out task_ids uuid[], out numbers int[], out places tid[]) language plpgsql as $$
declare
  suspect_lane int;
begin
  task_ids := '{}';
  numbers := '{}';
  places := '{}';
  for suspect_lane in select h.lane from tasker_engine.suspect_heads(_channels) h order by h.urgent_at loop
    select * into task_ids, numbers, places from tasker_engine.take_head(suspect_lane, 1);
    exit when cardinality(task_ids) > 0;
  end loop;
end $$;

-- take_head: removes up to _count rows from the head of a lane, with their step rows locked. What another verb holds stays.
-- A suspect that a pause left in an ordinary lane is not taken there: it lies in its lane of suspects too.
create or replace function tasker_engine.take_head(
  _lane int, _count int, out task_ids uuid[], out numbers int[], out places tid[]) language plpgsql as $$
begin
  with picked as materialized (
    select * from tasker_engine.pick_head(_lane, _count)),
  removed as (
    delete from tasker_engine.ready r using picked p where r.ctid = p.ready_place)
  select coalesce(array_agg(p.task_id), '{}'), coalesce(array_agg(p.number), '{}'), coalesce(array_agg(p.place), '{}')
  into task_ids, numbers, places
  from picked p where not p.is_elsewhere;
end $$;

-- pick_head: locks them. It walks the lane in order and probes one step for each row until it has enough, whatever the
-- planner believes of the tables. (An order by outside would make it sort, and lock, all of the lane first.)
create or replace function tasker_engine.pick_head(_lane int, _count int)
returns table (ready_place tid, place tid, task_id uuid, number int, is_elsewhere boolean) language plpgsql
set enable_indexscan = on set enable_bitmapscan = off as $$
declare
  head record;
begin
  select b.bound, l.kind < 2 as is_ordinary into head
  from tasker_engine.lanes l cross join lateral tasker_engine.bound_of(l.lane) b where l.lane = _lane;
  return query
  select r.place, s.place, r.task_id, r.number, head.is_ordinary and s.is_suspect
  from (
    select n.ctid as place, n.seq, n.task_id, n.number from tasker_engine.ready n
    where n.lane = _lane and n.seq >= head.bound order by n.seq for update skip locked) r
  cross join lateral (
    select n.ctid as place, n.is_suspect from tasker_engine.steps n
    where n.task_id = r.task_id and n.number = r.number for no key update skip locked) s
  limit _count;
end $$;
