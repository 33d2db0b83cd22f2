-- read_timings: where the time of each step of these tasks went, in seconds, from the history.
--
-- ready_at: when its parents had satisfied it (of a first step: when the task might begin); null for a step that never was.
-- queue_s: it waited for a worker; run_s: handlers ran, all tries together; retry_s: it waited for its next try. ended_at:
-- null while it goes on (the seconds count up to now). critical_place: its place, from 1, on the way through the task that
-- decided how long it took; null for a step that is not on it.
create or replace function tasker_engine.read_timings(_task_ids uuid[], _now timestamptz default null)
returns table (
  task_id uuid, number int, name text, state text, tries int, ready_at timestamptz, first_granted_at timestamptz,
  ended_at timestamptz, queue_s double precision, run_s double precision, retry_s double precision, critical_place int)
language plpgsql stable
set plan_cache_mode = force_generic_plan set jit = off set enable_seqscan = off set enable_indexscan = on as $$
#variable_conflict use_column
begin
  _now := coalesce(_now, clock_timestamp());
  return query
  with timed as materialized (
    select s.*, s.granted_s - s.lag_s as run_s, s.enqueued_s + s.lag_s as queue_s,
      case when s.state in ('pending', 'cancelled', 'resolved_manually') then s.granted_at else s.moved_at end as ready_at,
      case when s.state in ('complete', 'error', 'cancelled', 'resolved_manually') then s.finished_at end as ended_at
    from tasker_engine.step_times(_task_ids, _now) s),
  ways as materialized (
    select t.task_id, t.template_id, tasker_engine.critical_places(t.template_id, e.ends) as places
    from (select distinct w.task_id from timed w) of_task
    cross join lateral (select * from tasker_engine.tasks t where t.task_id = of_task.task_id offset 0) t
    cross join lateral (
      select array_agg(case when w.ready_at is not null then coalesce(w.ended_at, _now) end order by p.number) as ends
      from tasker_engine.template_steps p
      left join timed w on w.task_id = t.task_id and w.number = p.number
      where p.template_id = t.template_id) e)
  select y.task_id, w.number, p.name || coalesce('_' || m.batch_id, ''), w.state::text, w.tries, w.ready_at, w.granted_at, w.ended_at,
    w.queue_s, w.run_s, w.retry_s, case when w.number < 65536 then nullif(y.places[w.number], 0) end
  from ways y
  join timed w on w.task_id = y.task_id
  cross join lateral (
    select p.name from tasker_engine.template_steps p
    where p.template_id = y.template_id and p.number = tasker_engine.plan_number(w.number) offset 0) p
  left join lateral (
    select i.batch_id from tasker_engine.batch_items i where i.task_id = w.task_id and i.number = w.number and w.number >= 65536 offset 0) m on true
  order by y.task_id, w.number;
end $$;

-- step_times: for how long each step stood in which state: the sum of when it left minus the sum of when it came. lag_s: the
-- part of the last grant that passed before its handler ran. moved_at, granted_at: the first move, the first grant.
create or replace function tasker_engine.step_times(_task_ids uuid[], _now timestamptz)
returns table (
  task_id uuid, number int, state tasker_engine.state, tries int, moved_at timestamptz, granted_at timestamptz,
  finished_at timestamptz, enqueued_s double precision, granted_s double precision, retry_s double precision, lag_s double precision)
language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  with moves as (
    select h.task_id, h.number, h.from_state, h.to_state, h.at, date_part('epoch', h.at - _now) as at_s,
      null::tasker_engine.state as state, null::int as tries, null::timestamptz as finished_at, null::float8 as lag_s
    from unnest(_task_ids) as asked(task_id)
    cross join lateral (select * from tasker_engine.transitions h where h.task_id = asked.task_id and h.number > 0 offset 0) h
    union all
    select s.task_id, s.number, null, null, null, 0, s.state, s.tries, s.finished_at, date_part('epoch', s.started_at - s.granted_at)
    from unnest(_task_ids) as asked(task_id)
    cross join lateral (select * from tasker_engine.steps s where s.task_id = asked.task_id offset 0) s),
  summed as (
    select m.task_id, m.number, max(m.state) as state, max(m.tries) as tries, min(m.at) as moved_at,
      min(m.at) filter (where m.to_state = 'in_progress') as granted_at, max(m.finished_at) as finished_at,
      coalesce(sum(m.at_s) filter (where m.from_state = 'enqueued'), 0)
        - coalesce(sum(m.at_s) filter (where m.to_state = 'enqueued'), 0) as enqueued_s,
      coalesce(sum(m.at_s) filter (where m.from_state = 'in_progress'), 0)
        - coalesce(sum(m.at_s) filter (where m.to_state = 'in_progress'), 0) as granted_s,
      coalesce(sum(m.at_s) filter (where m.from_state = 'waiting_for_retry'), 0)
        - coalesce(sum(m.at_s) filter (where m.to_state = 'waiting_for_retry'), 0) as retry_s,
      coalesce(max(m.lag_s), 0) as lag_s
    from moves m
    group by m.task_id, m.number)
  select t.task_id, t.number, t.state, t.tries, t.moved_at, t.granted_at, t.finished_at,
    t.enqueued_s, t.granted_s, t.retry_s, greatest(0, least(t.lag_s, t.granted_s))
  from summed t;
end $$;

-- critical_places: for each step, by number, its place on the way that decided how long the task took, 0 for the others: from
-- the step that ended last back, each time by the parent that ended last. _ends: when each ended; null: it never began.
create or replace function tasker_engine.critical_places(_template_id int, _ends timestamptz[]) returns int[]
language plpgsql stable as $$
declare
  parents int[];
  children int[];
begin
  select array_agg(e.parent), array_agg(e.child) into parents, children
  from (select unnest(p.parents) as parent, p.number as child from tasker_engine.template_steps p where p.template_id = _template_id) e;
  return tasker_engine.places_on_way(parents, children, _ends);
end $$;

-- places_on_way: the same, of edges. Of parents that ended at once the first by number counts.
create or replace function tasker_engine.places_on_way(_parents int[], _children int[], _ends timestamptz[]) returns int[]
language plpgsql immutable as $$
declare
  parent int;
  child int;
  decided_by int[] := array_fill(0, array[cardinality(_ends)]);
  places int[] := array_fill(0, array[cardinality(_ends)]);
  way int[] := '{}';
  step int := (select e.number from unnest(_ends) with ordinality as e(at, number) where e.at is not null
               order by e.at desc, e.number desc limit 1);
begin
  for edge in 1 .. coalesce(cardinality(_parents), 0) loop
    parent := _parents[edge];
    child := _children[edge];
    if decided_by[child] = 0 and _ends[parent] is not null or _ends[parent] > _ends[decided_by[child]]
      or _ends[parent] = _ends[decided_by[child]] and parent < decided_by[child] then
      decided_by[child] := parent;
    end if;
  end loop;
  while step > 0 loop
    way := way || step;
    step := decided_by[step];
  end loop;
  for place in 1 .. cardinality(way) loop
    places[way[place]] := cardinality(way) + 1 - place;
  end loop;
  return places;
end $$;
