-- refuse_decisions: a decision names steps that depend on it, or none. One that does not is a permanent failure, with an
-- error that says what there is to choose from; so is an outcome of kind `decided` of a step that is no decision.
create or replace function tasker_engine.refuse_decisions(
  _held tasker_engine.held_task[], _task_ids uuid[], _numbers int[], inout kinds text[], inout payloads text[])
language plpgsql as $$
declare
  refused record;
begin
  for refused in
    select o.place, ts.name, ts.type, array(select c.name from unnest(ts.children) as n(number)
        join tasker_engine.template_steps c on c.template_id = ts.template_id and c.number = n.number order by n.number) as choices, k.chosen
    from unnest(_task_ids, _numbers, kinds, payloads) with ordinality as o(task_id, number, kind, payload, place)
    join unnest(_held) h on h.task_id = o.task_id
    cross join lateral (
      select * from tasker_engine.template_steps p where p.template_id = h.template_id and p.number = o.number offset 0) ts
    cross join lateral (select tasker_engine.chosen_steps(o.payload::jsonb) as chosen) k
    where o.kind = 'decided'
  loop
    continue when refused.type = 'decision' and refused.chosen <@ refused.choices;
    kinds[refused.place] := 'failed';
    payloads[refused.place] := json_build_object('error_type', 'invalid_decision', 'error_code', 'invalid_decision', 'retryable', false,
      'message', case
        when refused.type <> 'decision' then format('step "%s" decided, but its type is %s', refused.name, refused.type)
        when refused.chosen is null then format('the result of decision "%s" holds no decision_point_outcome', refused.name)
        else format('decision "%s" chose %s; steps that depend on it: %s', refused.name,
          (select string_agg(format('"%s"', c), ', ') from unnest(refused.chosen) c where c <> all (refused.choices)),
          array_to_string(refused.choices, ', ')) end)::text;
  end loop;
end $$;

-- chosen_steps: the names that the result of a decision chooses; null where it says nothing of that kind.
create or replace function tasker_engine.chosen_steps(_result jsonb) returns text[] language sql immutable as $$
  select case _result -> 'decision_point_outcome' ->> 'type'
    when 'no_branches' then '{}'::text[]
    when 'create_steps' then array(select jsonb_array_elements_text(_result -> 'decision_point_outcome' -> 'step_names'))
  end
$$;

-- decide: what follows for the steps that recorded decisions did not choose. A step will certainly not run when every decision
-- above it has declined it or will not run itself, or none of its parents will run; a convergence only when, besides, no decision that it joins has
-- run. Such steps lose their rows, and what waited for them waits no longer. Answers them: for the caller they have come to
-- satisfy their children, as complete ones have. The caller holds the tasks, and has recorded the decisions.
create or replace function tasker_engine.decide(
  _held tasker_engine.held_task[], _task_ids uuid[], _numbers int[], out gone_tasks uuid[], out gone_numbers int[])
language plpgsql as $$
declare
  edge_tasks uuid[];
  edge_numbers int[];
  are_declined boolean[];
begin
  gone_tasks := '{}';
  gone_numbers := '{}';
  select coalesce(array_agg(d.task_id), '{}'), coalesce(array_agg(c.number), '{}'), coalesce(array_agg(true), '{}')
  into edge_tasks, edge_numbers, are_declined
  from unnest(_task_ids, _numbers) as d(task_id, number)
  join unnest(_held) h on h.task_id = d.task_id
  cross join lateral (
    select p.* from tasker_engine.template_steps p where p.template_id = h.template_id and p.number = d.number offset 0) ts
  cross join lateral (
    select s.result from tasker_engine.steps s where s.task_id = d.task_id and s.number = d.number offset 0) s
  cross join lateral unnest(ts.children) as c(number)
  cross join lateral (
    select n.name from tasker_engine.template_steps n where n.template_id = h.template_id and n.number = c.number offset 0) child
  where ts.type = 'decision' and child.name <> all (coalesce(tasker_engine.chosen_steps(s.result), '{}'));
  while cardinality(edge_tasks) > 0 loop
    with passed as (
      select e.task_id, e.number, count(*)::int as edges, count(*) filter (where e.is_declined)::int as declined
      from unnest(edge_tasks, edge_numbers, are_declined) as e(task_id, number, is_declined) group by e.task_id, e.number),
    marked as (
      update tasker_engine.steps s
      set passed = coalesce(s.passed, 0) + p.edges, declined = coalesce(s.declined, 0) + p.declined
      from passed p where s.task_id = p.task_id and s.number = p.number and s.state = 'pending'
      returning s.task_id, s.number, s.passed, s.declined),
    gone as (
      select m.task_id, m.number, ts.children, ts.type
      from marked m
      join unnest(_held) h on h.task_id = m.task_id
      cross join lateral (
        select p.* from tasker_engine.template_steps p where p.template_id = h.template_id and p.number = m.number offset 0) ts
      where (m.passed >= cardinality(ts.parents) or ts.deciders > 0 and m.declined >= ts.deciders and ts.type <> 'deferred_convergence')
        and not (ts.type = 'deferred_convergence' and exists (
          select from tasker_engine.steps j where j.task_id = m.task_id and j.number = any (ts.joins) and j.state in ('complete', 'resolved_manually')))),
    below as (
      select g.task_id, c.number, g.type = 'decision' as is_declined from gone g cross join lateral unnest(g.children) as c(number))
    select gone_tasks || coalesce((select array_agg(g.task_id) from gone g), '{}'),
      gone_numbers || coalesce((select array_agg(g.number) from gone g), '{}'),
      b.task_ids, b.numbers, b.are_declined
    into gone_tasks, gone_numbers, edge_tasks, edge_numbers, are_declined
    from (select coalesce(array_agg(b.task_id), '{}') as task_ids, coalesce(array_agg(b.number), '{}') as numbers,
            coalesce(array_agg(b.is_declined), '{}') as are_declined from below b) b;
    delete from tasker_engine.steps s using unnest(gone_tasks, gone_numbers) as g(task_id, number)
    where s.task_id = g.task_id and s.number = g.number;
  end loop;
end $$;
