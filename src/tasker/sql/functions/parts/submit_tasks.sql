-- submit_tasks: what submit and submit_here do; see there. Answers, for each task in order, the id and whether it existed before,
-- and the steps that the taker takes. The planner settings make one plan of it in connections that are not Tasker's own.
create or replace function tasker_engine.submit_tasks(
  _namespace text, _template text, _version text, _task_ids uuid[], _contexts jsonb[], _options jsonb[], _now timestamptz,
  _taker tasker_engine.taker, out ids uuid[], out are_duplicates boolean[], out template_id int, out is_checked boolean,
  out taken_tasks uuid[], out taken_numbers int[]) language plpgsql
set enable_seqscan = off set enable_mergejoin = off set jit = off
set join_collapse_limit = 1 set from_collapse_limit = 1 set enable_indexscan = off set enable_indexonlyscan = off
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  template tasker_engine.templates := tasker_engine.find_template(_namespace, _template, _version);
  keys text[];
  made uuid[];
begin
  template_id := template.template_id;
  is_checked := not template.has_schema;
  ids := coalesce(_task_ids, array(select tasker_engine.uuid7(_now) as id from unnest(_contexts) order by id));
  perform tasker_engine.check_submission(ids, _contexts, _options, _now);
  if _options is not null or template.identity_strategy <> 'always_unique' then
    keys := tasker_engine.identity_keys(template.identity_strategy, _contexts, _options);
  end if;
  if num_nonnulls(variadic keys) > 0 then
    select * into ids, are_duplicates, taken_tasks, taken_numbers
    from tasker_engine.submit_with_identity(template, ids, _contexts, _options, keys, _now, _taker);
    return;
  end if;
  select * into made, taken_tasks, taken_numbers
  from tasker_engine.create_tasks(template.template_id, ids, _contexts, _options, _now, _taker);
  if cardinality(made) = cardinality(ids) then
    are_duplicates := array_fill(false, array[cardinality(ids)]);
  else
    perform tasker_engine.check_repeats(template.template_id, ids, ids, _contexts);
    are_duplicates := array(select u.id <> all (made) from unnest(ids) with ordinality as u(id, place) order by u.place);
  end if;
end $$;
