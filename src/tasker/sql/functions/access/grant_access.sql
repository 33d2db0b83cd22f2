-- grant_access: the role under which the server asks for confined callers, and what it may read. Runs with each migration.
--
-- The role belongs to the whole server, so another database may just have made it. Answers false where this user may not make
-- roles: then an administrator runs `create role tasker_api; grant tasker_api to USER`, and that user calls this.
create or replace function tasker_engine.grant_access() returns boolean language plpgsql as $$
begin
  if not exists (select from pg_roles where rolname = 'tasker_api') then
    begin
      create role tasker_api nologin;
    exception
      when duplicate_object or unique_violation then null;
      when insufficient_privilege then return false;
    end;
  end if;
  if not tasker_engine.may_be_api() then
    begin
      grant tasker_api to current_user;
    exception when insufficient_privilege then return false;
    end;
  end if;
  grant usage on schema tasker_engine to tasker_api;
  grant select on tasker_engine.namespaces, tasker_engine.templates, tasker_engine.template_steps, tasker_engine.channels,
    tasker_engine.lanes, tasker_engine.bounds, tasker_engine.tasks, tasker_engine.inputs, tasker_engine.steps, tasker_engine.ready, tasker_engine.due,
    tasker_engine.sessions, tasker_engine.session_channels, tasker_engine.transitions, tasker_engine.acts,
    tasker_engine.checkpoints, tasker_engine.batches, tasker_engine.batch_items, tasker_engine.dlq, tasker_engine.dlq_events,
    tasker_engine.fields, tasker_engine.template_fields, tasker_engine.task_fields,
    tasker_engine.forks, tasker_engine.jobs, tasker_engine.job_items, tasker_engine.breakers, tasker_engine.breaker_probes,
    tasker_engine.events, tasker_engine.figures, tasker_engine.pauses to tasker_api;
  return true;
end $$;

-- may_be_api: whether this user can take on the role. From version 16 on, to be a member is not enough for that.
create or replace function tasker_engine.may_be_api() returns boolean language plpgsql stable as $$
begin
  return exists (select from pg_roles where rolname = 'tasker_api')
    and pg_has_role(current_user, 'tasker_api', case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end);
end $$;
