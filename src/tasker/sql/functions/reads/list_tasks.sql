-- list_tasks: a page of tasks, newest first (by id, which carries the time), with the columns of read_tasks but the context.
--
-- Null filters nothing. _before: the id that the last page ended with. It is list_tasks_by, as it was first called.
create or replace function tasker_engine.list_tasks(
  _limit int, _before uuid default null, _states text[] default null, _namespace text default null, _name text default null,
  _version text default null, _tag text default null, _correlation_id uuid default null, _initiator text default null,
  _created_from timestamptz default null, _created_until timestamptz default null)
returns table (
  task_id uuid, namespace text, name text, version text, state text, is_paused boolean, priority int, initiator text,
  source_system text, reason text, tags text[], correlation_id uuid, parent_correlation_id uuid, idempotency_key text,
  template_id int, step_count int, open int, live int, due int, failed int,
  created_at timestamptz, start_at timestamptz, finished_at timestamptz, paused_at timestamptz)
language sql stable as $$
  select * from tasker_engine.list_tasks_by(jsonb_strip_nulls(jsonb_build_object('states', to_jsonb(_states), 'namespace', _namespace,
    'name', _name, 'version', _version, 'tags', case when _tag is not null then jsonb_build_array(_tag) end,
    'correlation_id', _correlation_id, 'initiator', _initiator, 'created_from', _created_from, 'created_until', _created_until)),
    _limit, _before)
$$;
