-- why_parents (kind `parents`): steps that wait for parents, with the state of each of these. At most 50 are named.
-- data: waiting (how many), parents (name, number, state).
create or replace function tasker_engine.why_parents(_task_id uuid, _template_id int)
returns table (number int, kind text, said text, data jsonb) language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  with plan as materialized (
    select p.number, p.name, p.parents from tasker_engine.template_steps p where p.template_id = _template_id),
  step as materialized (
    select s.number, s.state, s.waiting, s.attempt
    from tasker_engine.steps s where s.task_id = _task_id and s.number < 65536),
  named as materialized (  -- what is said of a parent, once for all of its children
    select s.number, p.name || ' (' || s.state || ')' as said, jsonb_build_object('name', p.name, 'number', s.number, 'state', s.state) as data
    from step s join plan p on p.number = s.number where s.state not in ('complete', 'resolved_manually')),
  edge as (
    select s.number, s.waiting, unnest(p.parents) as parent from step s join plan p on p.number = s.number
    where s.state = 'pending' and s.waiting > 0 and s.attempt = 0),
  unmet as (
    select e.number, e.waiting, array_agg(n.said order by n.number) as said, array_agg(n.data order by n.number) as data
    from edge e join named n on n.number = e.parent group by e.number, e.waiting)
  select u.number, 'parents',
    'waits for ' || array_to_string(u.said[1:5], ', ')
      || case when cardinality(u.said) > 5 then ' and ' || cardinality(u.said) - 5 || ' more' else '' end,
    jsonb_build_object('waiting', u.waiting, 'parents', u.data[1:50])
  from unmet u;
end $$;

-- why_blocked (kind `blocked`): steps below one that failed for good, with up to five such. A step that is done stops it.
-- data: failed (names). Every edge is looked at once, from the first level down.
create or replace function tasker_engine.why_blocked(_task_id uuid, _template_id int)
returns table (number int, kind text, said text, data jsonb) language plpgsql stable as $$
#variable_conflict use_column
declare
  names text[];
  is_failed boolean[];
  is_waiting boolean[];
  blockers int[];  -- five places a step
  edge record;
  found int;
begin
  select array_agg(p.name order by p.number), array_agg(coalesce(s.is_failed, false) order by p.number),
    array_agg(coalesce(s.is_waiting, false) order by p.number),
    array_fill(0, array[count(*)::int * 5])
  into names, is_failed, is_waiting, blockers
  from tasker_engine.template_steps p
  left join (
    select n.number, n.state = 'error' as is_failed, n.state = 'pending' as is_waiting
    from tasker_engine.steps n where n.task_id = _task_id and n.number < 65536) s on s.number = p.number
  where p.template_id = _template_id;
  for edge in
    select e.parent, e.child
    from (select p.number as parent, unnest(p.children) as child from tasker_engine.template_steps p where p.template_id = _template_id) e
    join unnest(tasker_engine.template_levels(_template_id)) with ordinality as l(level, number) on l.number = e.parent
    order by l.level
  loop
    continue when not is_waiting[edge.child] or blockers[edge.child * 5] > 0;  -- that one has five already
    for place in 1 .. 5 loop
      found := case when is_failed[edge.parent] then edge.parent when is_waiting[edge.parent] then blockers[edge.parent * 5 - 5 + place] else 0 end;
      exit when found = 0;
      for free in 1 .. 5 loop
        if blockers[edge.child * 5 - 5 + free] in (0, found) then
          blockers[edge.child * 5 - 5 + free] := found;
          exit;
        end if;
      end loop;
      exit when is_failed[edge.parent];
    end loop;
  end loop;
  return query
  with named as (
    select ((w.place + 4) / 5)::int as number, array_agg(names[w.failed] order by w.place) as names
    from unnest(blockers) with ordinality as w(failed, place) where w.failed > 0 group by 1)
  select s.number, 'blocked', 'is blocked by ' || array_to_string(n.names, ', ') || ', which failed for good',
    jsonb_build_object('failed', n.names)
  from tasker_engine.steps s join named n on n.number = s.number
  where s.task_id = _task_id and s.state = 'pending';
end $$;

-- why_batch (kind `batch`): a batch that waits for its members (data: total, succeeded, failed, running), and members that wait
-- for their turn (data: parallelism, total).
create or replace function tasker_engine.why_batch(_task_id uuid)
returns table (number int, kind text, said text, data jsonb) language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  with batch as materialized (select b.* from tasker_engine.batches b where b.task_id = _task_id)
  select s.number, 'batch',
    case when s.number < 65536 then format('waits for %s of its %s members', b.total - b.succeeded - b.failed, b.total)
      else format('waits for its turn in a batch of %s, of which %s run at a time', b.total, b.parallelism) end,
    case when s.number < 65536
      then jsonb_build_object('total', b.total, 'succeeded', b.succeeded, 'failed', b.failed, 'running', b.running)
      else jsonb_build_object('total', b.total, 'parallelism', b.parallelism) end
  from tasker_engine.steps s join batch b on b.number = tasker_engine.plan_number(s.number)
  where s.task_id = _task_id and s.state = 'pending';
end $$;
