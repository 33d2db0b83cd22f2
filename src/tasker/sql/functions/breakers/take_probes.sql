-- take_probes: steps behind half-open breakers, as many as may run at once in the whole fleet, less those that do. The breaker's
-- row, which only one claim at a time holds, keeps the count; the others pass on. Answers the steps taken with the places of
-- their rows, and the slots that are left. A suspect is taken alone, and then nothing else.
create or replace function tasker_engine.take_probes(
  _channels int[], _pools int[], inout free int[], _may_be_alone boolean,
  out task_ids uuid[], out numbers int[], out places tid[], out is_alone boolean) language plpgsql as $$
declare
  breaker tasker_engine.breakers;
  head record;
  taken record;
  room int;
begin
  task_ids := '{}';
  numbers := '{}';
  places := '{}';
  is_alone := false;
  for breaker in
    select b.* from tasker_engine.breakers b where b.state = 'half_open' order by b.breaker_id for no key update skip locked
  loop
    room := (tasker_engine.breaker_limits(breaker)).probes
      - (select count(*) from tasker_engine.breaker_probes p where p.breaker_id = breaker.breaker_id)::int;
    for head in select * from tasker_engine.probe_heads(breaker.breaker_id, _channels, _pools) h order by h.urgent_at loop
      continue when head.is_suspect and (not _may_be_alone or cardinality(task_ids) > 0);
      exit when room <= 0;
      select * into taken from tasker_engine.take_probe_head(
        breaker.breaker_id, head.lane, case when head.is_suspect then 1 else least(room, free[head.pool]) end);
      room := room - cardinality(taken.task_ids);
      task_ids := task_ids || taken.task_ids;
      numbers := numbers || taken.numbers;
      places := places || taken.places;
      is_alone := head.is_suspect and cardinality(taken.task_ids) > 0;
      if is_alone then
        return;
      end if;
      free[head.pool] := free[head.pool] - cardinality(taken.task_ids);
    end loop;
  end loop;
end $$;

-- probe_heads: the first waiting step of each of these lanes that lies behind a breaker.
create or replace function tasker_engine.probe_heads(_breaker_id int, _channels int[], _pools int[])
returns table (lane int, pool int, urgent_at timestamptz, is_suspect boolean) language plpgsql stable
set enable_indexscan = on set enable_bitmapscan = off set enable_hashjoin = off as $$
begin
  return query
  select l.lane, served.pool, tasker_engine.urgency(h.born_at, l.class, tasker_engine.setting('priority_s')), l.kind = 2
  from unnest(_channels, _pools) as served(channel_id, pool)
  cross join lateral (
    select from tasker_engine.channels n where n.channel_id = served.channel_id and n.breaker_id = _breaker_id offset 0) c
  cross join lateral (
    select n.lane, n.class, n.kind from tasker_engine.lanes n where n.channel_id = served.channel_id offset 0) l
  cross join lateral tasker_engine.bound_of(l.lane) b
  cross join lateral (
    select r.born_at from tasker_engine.ready r where r.lane = l.lane and r.seq >= b.bound order by r.seq limit 1) h;
end $$;

-- take_probe_head: takes up to _count steps from the head of a lane, and notes them as probes. Rows of steps that nobody can be
-- granted any more leave the lane on the way, and are no probes.
create or replace function tasker_engine.take_probe_head(
  _breaker_id int, _lane int, _count int, out task_ids uuid[], out numbers int[], out places tid[]) language plpgsql as $$
declare
  taken record;
  noted record;
begin
  task_ids := '{}';
  numbers := '{}';
  places := '{}';
  for round in 1 .. 100 loop
    exit when cardinality(task_ids) >= _count;
    select * into taken from tasker_engine.take_head(_lane, _count - cardinality(task_ids));
    exit when cardinality(taken.task_ids) = 0;
    with able as (
      select s.task_id, s.number, s.attempt, t.place
      from unnest(taken.task_ids, taken.numbers, taken.places) as t(task_id, number, place)
      join tasker_engine.steps s on s.ctid = t.place
      join tasker_engine.tasks k on k.task_id = t.task_id
      where s.state = 'enqueued' and k.paused_at is null),
    probes as (
      insert into tasker_engine.breaker_probes as p (breaker_id, task_id, number, attempt)
      select _breaker_id, a.task_id, a.number, a.attempt + 1 from able a
      on conflict (breaker_id, task_id, number) do update set attempt = excluded.attempt)
    select coalesce(array_agg(a.task_id), '{}') as tasks, coalesce(array_agg(a.number), '{}') as numbers,
      coalesce(array_agg(a.place), '{}') as places
    into noted from able a;
    task_ids := task_ids || noted.tasks;
    numbers := numbers || noted.numbers;
    places := places || noted.places;
  end loop;
end $$;
