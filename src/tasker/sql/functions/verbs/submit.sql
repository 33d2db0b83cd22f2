-- submit: creates a batch of tasks of one template, each with its first steps ready, in the caller's own transaction.
--
-- _task_ids are UUIDs of version 7 made by the caller, so that a submit can be repeated (null: made here). _options has
-- one object per task (or is null): idempotency_key, key_ttl_s, priority, start_at, delay_s, initiator, source_system,
-- reason, tags, correlation_id, parent_correlation_id, is_checked (the caller has held the context against the schema).
-- Answers one row per task, in order: the id, and whether the task existed before (then it is the existing task's id).
create or replace function tasker_engine.submit(
  _namespace text, _template text, _version text, _task_ids uuid[], _contexts jsonb[],
  _options jsonb[] default null, _now timestamptz default null)
returns table (task_id uuid, is_duplicate boolean, info jsonb) language plpgsql as $$
declare
  done record := tasker_engine.submit_tasks(_namespace, _template, _version, _task_ids, _contexts, _options, tasker_engine.clock(_now), null);
begin
  return query select m.id, m.is_duplicate, null::jsonb from unnest(done.ids, done.are_duplicates) as m(id, is_duplicate);
end $$;
