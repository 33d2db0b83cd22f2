-- Confinement of the outbox; see 0022. An event is of the namespace of its template.
alter table tasker_engine.events enable row level security;
create policy confined on tasker_engine.events
  using ((select not tasker_engine.is_confined())
    or (select true from tasker_engine.templates t where t.template_id = events.template_id)) with check (true);
