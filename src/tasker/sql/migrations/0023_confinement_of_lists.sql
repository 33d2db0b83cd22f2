-- Confinement of what lists and the dead letter queue keep; see 0022. (`fields` are paths that templates declare: they are everybody's.)
alter table tasker_engine.dlq enable row level security;
create policy confined on tasker_engine.dlq
  using ((select not tasker_engine.is_confined()) or namespace_id = any ((select tasker_engine.reached_namespaces())::int[])) with check (true);

alter table tasker_engine.dlq_events enable row level security;
create policy confined on tasker_engine.dlq_events
  using ((select not tasker_engine.is_confined())
    or (select true from tasker_engine.dlq d where d.entry_id = dlq_events.entry_id)) with check (true);

alter table tasker_engine.template_fields enable row level security;
create policy confined on tasker_engine.template_fields
  using ((select not tasker_engine.is_confined())
    or (select true from tasker_engine.templates t where t.template_id = template_fields.template_id)) with check (true);

alter table tasker_engine.task_fields enable row level security;
create policy confined on tasker_engine.task_fields
  using ((select not tasker_engine.is_confined())
    or (select true from tasker_engine.tasks t where t.task_id = task_fields.task_id)) with check (true);
