-- What a worker on the network reads and notes beside its turns: of tasks that it works on, and of no others.

-- require_held: raises TK010 for a task of which the session holds no step.
create or replace function tasker_engine.require_held(_session int, _task_ids uuid[]) returns void language plpgsql stable as $$
declare other uuid;
begin
  select w.task_id into other from unnest(_task_ids) as w(task_id)
  where w.task_id not in (select h.task_id from tasker_engine.held_steps(_session) h) limit 1;
  if other is not null then
    raise exception 'the session holds no step of task %', other using errcode = 'TK010';
  end if;
end $$;

-- require_reached: raises TK010 for a task of a namespace that the session does not work for. A task that is gone is nobody's.
create or replace function tasker_engine.require_reached(_session int, _task_ids uuid[]) returns void language plpgsql stable as $$
declare
  reached text[];
  other uuid;
begin
  select r.namespaces into reached from tasker_engine.remote_sessions r where r.session_id = _session;
  if reached is null then
    return;
  end if;
  select t.task_id into other from unnest(_task_ids) as w(task_id)
  cross join lateral (select * from tasker_engine.tasks n where n.task_id = w.task_id offset 0) t
  where t.namespace_id not in (select n.namespace_id from tasker_engine.namespaces n where n.name = any (reached)) limit 1;
  if other is not null then
    raise exception 'the session holds no step of task %', other using errcode = 'TK010';
  end if;
end $$;

-- remote_checkpoint: checkpoint.
create or replace function tasker_engine.remote_checkpoint(
  _session_uuid uuid, _owner text, _namespaces text[], _task_ids uuid[], _numbers int[], _attempts int[], _states jsonb[])
returns setof tasker_engine.reply language plpgsql as $$
declare session int := tasker_engine.remote_session(_session_uuid, _owner, _namespaces);
begin
  perform tasker_engine.require_reached(session, _task_ids);
  return query select * from tasker_engine.checkpoint(session, _task_ids, _numbers, _attempts, _states);
end $$;

-- remote_load: load, with the same numbers.
create or replace function tasker_engine.remote_load(
  _session_uuid uuid, _owner text, _namespaces text[], _task_ids uuid[], _numbers int[])
returns setof tasker_engine.reply language plpgsql stable as $$
begin
  perform tasker_engine.require_held(tasker_engine.remote_session(_session_uuid, _owner, _namespaces), _task_ids);
  return query select * from tasker_engine.load(_task_ids, _numbers);
end $$;

-- remote_members: load_members.
create or replace function tasker_engine.remote_members(
  _session_uuid uuid, _owner text, _namespaces text[], _task_ids uuid[], _numbers int[])
returns table (task_id uuid, number int, batch_id text, state text, result text, error text) language plpgsql stable as $$
begin
  perform tasker_engine.require_held(tasker_engine.remote_session(_session_uuid, _owner, _namespaces), _task_ids);
  return query select * from tasker_engine.load_members(_task_ids, _numbers);
end $$;

-- remote_checkpoints: read_checkpoints.
create or replace function tasker_engine.remote_checkpoints(
  _session_uuid uuid, _owner text, _namespaces text[], _task_ids uuid[], _numbers int[])
returns table (task_id uuid, number int, attempt int, state json) language plpgsql stable as $$
begin
  perform tasker_engine.require_held(tasker_engine.remote_session(_session_uuid, _owner, _namespaces), _task_ids);
  return query select * from tasker_engine.read_checkpoints(_task_ids, _numbers);
end $$;

-- remote_templates: definitions, of templates in the session's namespaces.
create or replace function tasker_engine.remote_templates(
  _session_uuid uuid, _owner text, _namespaces text[], _template_ids int[])
returns table (template_id int, definition json) language plpgsql stable as $$
#variable_conflict use_column
declare
  session int := tasker_engine.remote_session(_session_uuid, _owner, _namespaces);
  reached text[];
begin
  select r.namespaces into reached from tasker_engine.remote_sessions r where r.session_id = session;
  return query
  select t.template_id, t.definition::json from unnest(_template_ids) as w(template_id)
  cross join lateral (select * from tasker_engine.templates n where n.template_id = w.template_id offset 0) t
  cross join lateral (select * from tasker_engine.namespaces n where n.namespace_id = t.namespace_id offset 0) n
  where reached is null or n.name = any (reached);
end $$;
