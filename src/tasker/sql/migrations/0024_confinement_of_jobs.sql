-- Confinement of reruns and of actions on many tasks; see 0022. A job is seen by whoever reaches all namespaces that it does.
alter table tasker_engine.forks enable row level security;
create policy confined on tasker_engine.forks
  using ((select not tasker_engine.is_confined()) or namespace_id = any ((select tasker_engine.reached_namespaces())::int[])) with check (true);

alter table tasker_engine.jobs enable row level security;
create policy confined on tasker_engine.jobs
  using ((select not tasker_engine.is_confined())
    or coalesce(namespaces <@ (select tasker_engine.reached_names())::text[], false)) with check (true);

alter table tasker_engine.job_items enable row level security;
create policy confined on tasker_engine.job_items
  using ((select not tasker_engine.is_confined())
    or (select true from tasker_engine.jobs j where j.job_id = job_items.job_id)) with check (true);
