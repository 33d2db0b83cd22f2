-- The verbs for callers of some namespaces only. Each runs with its owner's rights, under a role that may write no table, and
-- first asks whether the caller reaches what it names. They have the arguments of the verbs without the time, and their answers.

-- submit_confined: submit for a caller who reaches these namespaces; one call, outside of any confined transaction.
create or replace function tasker_engine.submit_confined(
  _namespaces text[], _namespace text, _template text, _version text, _task_ids uuid[], _contexts jsonb[],
  _options jsonb[] default null)
returns table (task_id uuid, is_duplicate boolean, info jsonb) language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  perform tasker_engine.require_namespace(_namespace);
  if _namespace <> all (_namespaces) then
    raise exception 'the caller does not reach the namespace "%"', _namespace using errcode = 'TK016';
  end if;
  return query select * from tasker_engine.submit(_namespace, _template, _version, _task_ids, _contexts, _options);
end $$;

-- act_confined: act on a task that the caller reaches. An act of that id on another task is not told.
create or replace function tasker_engine.act_confined(
  _act_id uuid, _action text, _task_id uuid, _number int, _seen_state text, _seen_attempt int, _actor text, _reason text,
  _result jsonb default null) returns jsonb language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform tasker_engine.require_task(_task_id);
  if exists (select from tasker_engine.acts a where a.act_id = _act_id and a.task_id <> _task_id) then
    raise exception 'the act % was done to another task', _act_id using errcode = 'TK012', hint = 'make a new id for each act';
  end if;
  return tasker_engine.act(_act_id, _action, _task_id, _number, _seen_state, _seen_attempt, _actor, _reason, _result);
end $$;

-- publish_confined: publish in a namespace that the caller reaches.
create or replace function tasker_engine.publish_confined(
  _namespace text, _name text, _version text, _digest text, _definition jsonb, _identity_strategy text, _steps jsonb,
  _force boolean default false, out template_id int, out is_new boolean) language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
begin
  perform tasker_engine.require_namespace(_namespace);
  select p.template_id, p.is_new into template_id, is_new
  from tasker_engine.publish(_namespace, _name, _version, _digest, _definition, _identity_strategy, _steps, _force) p;
end $$;
