-- analyze_tasks: tasks as graphs at work: levels, the way that decides how long they take, what holds up the most, and what
-- failures hold up. One object a task; a batch counts as one step.
--
-- steps: number, name, level, state, parents, children, downstream (open steps below it, through open ones), run_s, expected_s
-- (what this step took lately in other tasks of the template; null: nobody knows), left_s. levels: how many steps of each level
-- stand where. remaining_path: the longest way through open steps, by left_s (a step of which nothing is known counts as the
-- others do). bottlenecks: ten steps that can move or have failed, by impact. error_chains: twenty failed steps.
create or replace function tasker_engine.analyze_tasks(_task_ids uuid[], _now timestamptz default null)
returns table (task_id uuid, analysis json) language plpgsql stable
set plan_cache_mode = force_custom_plan set jit = off set enable_seqscan = off set enable_indexscan = on set enable_hashjoin = on
set enable_mergejoin = off set enable_nestloop = off set join_collapse_limit = 8 set from_collapse_limit = 8 as $$
#variable_conflict use_column
declare
  task tasker_engine.tasks;
  g record;
  reach bit varying[];
  below int[];
  way record;
begin
  _now := coalesce(_now, clock_timestamp());
  for task in
    select t.* from unnest(_task_ids) with ordinality as asked(task_id, place)
    cross join lateral (select * from tasker_engine.tasks t where t.task_id = asked.task_id offset 0) t order by asked.place
  loop
    select * into g from tasker_engine.task_graph(task, _now);
    reach := tasker_engine.steps_below(g.edge_parents, g.edge_children, g.is_open, g.levels);
    below := array(select bit_count(r.below)::int from unnest(reach) with ordinality as r(below, number) order by r.number);
    select * into way from tasker_engine.remaining_path(g.edge_parents, g.edge_children, g.is_open, g.left_s);
    task_id := task.task_id;
    analysis := json_build_object(
      'task_uuid', task.task_id, 'state', task.state,
      'steps', (
        with step as materialized (
          select s.* from unnest(g.names, g.levels, g.states, below, g.run_s, g.expected_s, g.left_s, g.is_open) with ordinality
            as s(name, level, state, below, run_s, expected_s, left_s, is_open, number)),
        edge as materialized (select e.parent, e.child from unnest(g.edge_parents, g.edge_children) as e(parent, child))
        select coalesce(json_agg(json_build_object('number', s.number, 'name', s.name, 'level', s.level, 'state', s.state,
          'parents', coalesce(p.names, '{}'), 'children', coalesce(c.names, '{}'), 'downstream', s.below, 'run_s', s.run_s,
          'expected_s', s.expected_s, 'left_s', case when s.is_open then s.left_s end) order by s.number), '[]')
        from step s
        left join (select e.child, array_agg(n.name order by e.parent) as names
                   from edge e join step n on n.number = e.parent group by e.child) p on p.child = s.number
        left join (select e.parent, array_agg(n.name order by e.child) as names
                   from edge e join step n on n.number = e.child group by e.parent) c on c.parent = s.number),
      'levels', tasker_engine.levels_at_work(g.levels, g.states),
      'critical_path', (
        select coalesce(json_agg(g.names[w.number] order by w.place), '[]')
        from unnest(tasker_engine.places_on_way(g.edge_parents, g.edge_children, g.ends)) with ordinality as w(place, number)
        where w.place > 0),
      'remaining_path', (select coalesce(json_agg(g.names[w.number] order by w.place), '[]')
        from unnest(way.numbers) with ordinality as w(number, place)),
      'remaining_s', way.seconds,
      'bottlenecks', tasker_engine.bottlenecks_of(task, g.names, g.states, below),
      'error_chains', tasker_engine.error_chains_of(task, g.names, g.states, reach));
    return next;
  end loop;
end $$;

-- task_graph: a task's steps as arrays by number, and its edges, those of the highest levels last.
create or replace function tasker_engine.task_graph(
  _task tasker_engine.tasks, _now timestamptz, out names text[], out states text[], out is_open boolean[], out levels int[],
  out run_s double precision[], out expected_s double precision[], out left_s double precision[], out ends timestamptz[],
  out edge_parents int[], out edge_children int[]) language plpgsql stable as $$
declare
  usual_s double precision;
begin
  levels := tasker_engine.template_levels(_task.template_id);
  select array_agg(e.parent order by l.level, e.parent, e.child), array_agg(e.child order by l.level, e.parent, e.child)
  into edge_parents, edge_children
  from (select p.number as parent, unnest(p.children) as child from tasker_engine.template_steps p where p.template_id = _task.template_id) e
  join unnest(levels) with ordinality as l(level, number) on l.number = e.parent;
  edge_parents := coalesce(edge_parents, '{}');
  edge_children := coalesce(edge_children, '{}');
  expected_s := tasker_engine.expected_runs(_task.template_id, _task.task_id, cardinality(levels), _now);
  select array_agg(p.name order by p.number), array_agg(coalesce(s.state::text, 'not_taken') order by p.number),
    array_agg(coalesce(s.state not in ('complete', 'resolved_manually', 'cancelled'), false) order by p.number),
    array_agg(case when s.granted_at is not null then greatest(0, date_part('epoch',
      case when s.state = 'in_progress' then _now else s.finished_at end - coalesce(s.started_at, s.granted_at))) end order by p.number),
    array_agg(case when s.attempt > 0 then case when s.state in ('complete', 'error', 'resolved_manually', 'cancelled')
      then s.finished_at else _now end end order by p.number)
  into names, states, is_open, run_s, ends
  from tasker_engine.template_steps p
  left join (select * from tasker_engine.steps n where n.task_id = _task.task_id and n.number < 65536) s on s.number = p.number
  where p.template_id = _task.template_id;
  usual_s := (select avg(w.s) from unnest(expected_s) as w(s));
  usual_s := coalesce(usual_s, (select avg(w.s) from unnest(run_s) as w(s)), 1);
  left_s := array(
    select case when not w.is_open then 0
      when w.state = 'in_progress' then greatest(0, coalesce(w.expected_s, usual_s) - coalesce(w.run_s, 0))
      else coalesce(w.expected_s, usual_s) end
    from unnest(is_open, states, expected_s, run_s) with ordinality as w(is_open, state, expected_s, run_s, number) order by w.number);
end $$;

-- expected_runs: by number, how long each step took lately on average, in the newest complete tasks of the template: as many
-- of these as have five thousand steps together. The owner's function, for a task that the caller reaches: other tasks of its
-- template are in the same namespace, and a policy would keep the search from its index.
create or replace function tasker_engine.expected_runs(_template_id int, _task_id uuid, _steps int, _now timestamptz)
returns double precision[] language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform tasker_engine.require_task(_task_id);
  return (
    with known as (
      select s.number, avg(greatest(0, date_part('epoch', s.finished_at - coalesce(s.started_at, s.granted_at)))) as run_s
      from unnest(tasker_engine.find_by_template(greatest(1, least(50, 5000 / _steps)), '00000000-0000-0000-0000-000000000000',
        'ffffffff-ffff-ffff-ffff-ffffffffffff', '{complete}',
        array(select t.template_id from tasker_engine.tasks t where t.task_id = _task_id and t.template_id = _template_id))) as t(task_id)
      cross join lateral (
        select * from tasker_engine.steps n where n.task_id = t.task_id and n.number < 65536 and n.granted_at is not null offset 0) s
      where t.task_id <> _task_id group by s.number)
    select array_agg(k.run_s order by n) from generate_series(1, _steps) n left join known k on k.number = n);
end $$;

-- steps_below: by number, the open steps that lie below each, through open ones, as a string of bits: one for each step.
create or replace function tasker_engine.steps_below(_parents int[], _children int[], _is_open boolean[], _levels int[])
returns bit varying[] language plpgsql immutable as $$
declare
  size int := cardinality(_levels);
  reach bit varying[] := array_fill(repeat('0', size)::bit varying, array[size]);
  child int;
begin
  for edge in reverse cardinality(_parents) .. 1 loop
    child := _children[edge];
    if _is_open[child] then
      reach[_parents[edge]] := reach[_parents[edge]] | set_bit(reach[child], child - 1, 1);
    end if;
  end loop;
  return reach;
end $$;

-- remaining_path: the longest way through open steps, and the seconds that it takes.
create or replace function tasker_engine.remaining_path(
  _parents int[], _children int[], _is_open boolean[], _left_s double precision[], out numbers int[], out seconds double precision)
language plpgsql immutable as $$
declare
  total double precision[] := _left_s;
  before int[] := array_fill(0, array[cardinality(_left_s)]);
  step int;
begin
  for edge in 1 .. cardinality(_parents) loop
    if _is_open[_parents[edge]] and _is_open[_children[edge]]
      and (before[_children[edge]] = 0 or total[_parents[edge]] + _left_s[_children[edge]] > total[_children[edge]]) then
      total[_children[edge]] := total[_parents[edge]] + _left_s[_children[edge]];
      before[_children[edge]] := _parents[edge];
    end if;
  end loop;
  numbers := '{}';
  select t.number, t.s into step, seconds from unnest(total) with ordinality as t(s, number)
  where _is_open[t.number] order by t.s desc, t.number limit 1;
  while step > 0 loop
    numbers := step || numbers;
    step := before[step];
  end loop;
end $$;
