-- Confinement: which namespaces a transaction reaches, and who that holds. The policies of the tables ask this, and the
-- confined twins of the verbs. The setting tasker.namespaces is an array of names, set for one transaction by `store/confined.py`.

-- is_confined: whether only some namespaces are reached. Under the role tasker_api always, also from inside a function of the
-- owner's: the setting `role` still says under which role the transaction goes.
create or replace function tasker_engine.is_confined() returns boolean language sql stable as $$
  select coalesce(current_setting('tasker.namespaces', true), '') <> '' or coalesce(current_setting('role', true), '') = 'tasker_api'
$$;

-- reached_names: the namespaces of the setting; none where it is not set.
create or replace function tasker_engine.reached_names() returns text[] language sql stable as $$
  select coalesce(nullif(current_setting('tasker.namespaces', true), ''), '{}')::text[]
$$;

-- reached_namespaces: the same by id. The owner's function: the policy of `namespaces` itself must not be asked again.
create or replace function tasker_engine.reached_namespaces() returns int[] language sql stable security definer
set search_path = pg_catalog, pg_temp as $$
  select coalesce(array_agg(n.namespace_id), '{}') from tasker_engine.namespaces n where n.name = any (tasker_engine.reached_names())
$$;

-- require_task: raises that there is no such task where the caller does not reach it.
create or replace function tasker_engine.require_task(_task_id uuid) returns void language plpgsql as $$
begin
  if tasker_engine.is_confined() and not exists (
      select from tasker_engine.tasks t
      where t.task_id = _task_id and t.namespace_id = any (tasker_engine.reached_namespaces())) then
    raise exception 'there is no task %', _task_id using errcode = 'TK010';
  end if;
end $$;

-- require_namespace: raises that there is nothing to be had in a namespace that the caller does not reach.
create or replace function tasker_engine.require_namespace(_namespace text) returns void language plpgsql as $$
begin
  if tasker_engine.is_confined() and _namespace <> all (tasker_engine.reached_names()) then
    raise exception 'the caller does not reach the namespace "%"', _namespace using errcode = 'TK016';
  end if;
end $$;

-- require_entry: the same for an entry of the dead letter queue.
create or replace function tasker_engine.require_entry(_entry_id uuid) returns void language plpgsql as $$
begin
  if tasker_engine.is_confined() and not exists (
      select from tasker_engine.dlq d
      where d.entry_id = _entry_id and d.namespace_id = any (tasker_engine.reached_namespaces())) then
    raise exception 'there is no entry % in the dead letter queue', _entry_id using errcode = 'TK020';
  end if;
end $$;

-- require_job: the same for an action on many tasks. Whoever reaches all namespaces that it is for reaches it.
create or replace function tasker_engine.require_job(_job_id uuid) returns void language plpgsql as $$
begin
  if tasker_engine.is_confined() and not exists (
      select from tasker_engine.jobs j where j.job_id = _job_id and j.namespaces <@ tasker_engine.reached_names()) then
    raise exception 'there is no job %', _job_id using errcode = 'TK020';
  end if;
end $$;

-- confined_filter: a filter of tasks that names no namespace which the caller does not reach.
create or replace function tasker_engine.confined_filter(_filter jsonb) returns jsonb language sql stable as $$
  select case when not tasker_engine.is_confined() then _filter else _filter || jsonb_build_object('namespaces', coalesce((
    select jsonb_agg(n order by n) from unnest(tasker_engine.reached_names()) n
    where not _filter ? 'namespaces' or _filter -> 'namespaces' ? n), '[]')) end
$$;
