-- submit: creates a batch of tasks of one template, each with its first steps ready, in the caller's own transaction.
--
-- _task_ids are UUIDs of version 7 made by the caller, so that a submit can be repeated (null: made here). _options has
-- one object per task (or is null): idempotency_key, key_ttl_s, priority, start_at, delay_s, initiator, source_system,
-- reason, tags, correlation_id, parent_correlation_id, is_checked (the caller has held the context against the schema).
-- Answers one row per task, in order: the id, and whether the task existed before (then it is the existing task's id).
--
-- The planner settings make one plan of it in connections that are not Tasker's own.
create or replace function tasker_engine.submit(
  _namespace text, _template text, _version text, _task_ids uuid[], _contexts jsonb[],
  _options jsonb[] default null, _now timestamptz default null)
returns table (task_id uuid, is_duplicate boolean, info jsonb) language plpgsql
set enable_seqscan = off set enable_mergejoin = off set jit = off
set join_collapse_limit = 1 set from_collapse_limit = 1 set enable_indexscan = off set enable_indexonlyscan = off
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  template tasker_engine.templates;
  ids uuid[];
  keys text[];
  made uuid[];
begin
  _now := tasker_engine.clock(_now);
  select t.* into template from tasker_engine.templates t
  where t.template_id = tasker_engine.find_template(_namespace, _template, _version);
  ids := coalesce(_task_ids, array(select tasker_engine.uuid7(_now) as id from unnest(_contexts) order by id));
  perform tasker_engine.check_submission(ids, _contexts, _options, _now);
  perform tasker_engine.check_sizes(_contexts);
  if _options is not null or template.identity_strategy <> 'always_unique' then
    keys := tasker_engine.identity_keys(template.identity_strategy, _contexts, _options);
  end if;
  if num_nonnulls(variadic keys) > 0 then
    return query select * from tasker_engine.submit_with_identity(template, ids, _contexts, _options, keys, _now);
    return;
  end if;
  made := tasker_engine.create_tasks(template.template_id, ids, _contexts, _options, _now);
  if cardinality(made) < cardinality(ids) then
    perform tasker_engine.check_repeats(template.template_id, ids, ids, _contexts);
  end if;
  return query select id, cardinality(made) < cardinality(ids) and id <> all (made), null::jsonb from unnest(ids) id;
end $$;
