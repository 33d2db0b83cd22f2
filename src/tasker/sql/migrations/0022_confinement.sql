-- Confinement: what callers of some namespaces only may see, whatever is asked for them.
--
-- The owner of the tables is not held by these policies, and so the engine pays nothing for them. Others are, where the setting
-- tasker.namespaces says which namespaces a transaction reaches, and always under the role tasker_api: without the setting that
-- sees nothing. What others may write is a matter of grants alone. (functions/access has the functions that are named here.)
--
-- A table of a task's rows asks the task, one probe a row, on purpose by a subquery that cannot become a hash of all tasks.
-- A new table with something of a task or namespace in it needs the same three lines, and one in grant_access.
create function tasker_engine.is_confined() returns boolean language sql stable as $$ select true $$;
create function tasker_engine.reached_names() returns text[] language sql stable as $$ select '{}'::text[] $$;
create function tasker_engine.reached_namespaces() returns int[] language sql stable as $$ select '{}'::int[] $$;

do $$
declare
  rule record;
begin
  for rule in
    select * from (values
      ('namespaces', 'name = any ((select tasker_engine.reached_names())::text[])'),
      ('templates', 'namespace_id = any ((select tasker_engine.reached_namespaces())::int[])'),
      ('channels', 'namespace_id = any ((select tasker_engine.reached_namespaces())::int[])'),
      ('tasks', 'namespace_id = any ((select tasker_engine.reached_namespaces())::int[])'),
      ('identities', 'namespace_id = any ((select tasker_engine.reached_namespaces())::int[])'),
      ('template_steps', '(select true from tasker_engine.templates t where t.template_id = template_steps.template_id)'),
      ('lanes', '(select true from tasker_engine.channels c where c.channel_id = lanes.channel_id)'),
      ('session_channels', '(select true from tasker_engine.channels c where c.channel_id = session_channels.channel_id)'),
      ('inputs', '(select true from tasker_engine.tasks t where t.task_id = inputs.task_id)'),
      ('steps', '(select true from tasker_engine.tasks t where t.task_id = steps.task_id)'),
      ('ready', '(select true from tasker_engine.tasks t where t.task_id = ready.task_id)'),
      ('due', '(select true from tasker_engine.tasks t where t.task_id = due.task_id)'),
      ('transitions', '(select true from tasker_engine.tasks t where t.task_id = transitions.task_id)'),
      ('acts', '(select true from tasker_engine.tasks t where t.task_id = acts.task_id)'),
      ('checkpoints', '(select true from tasker_engine.tasks t where t.task_id = checkpoints.task_id)'),
      ('batches', '(select true from tasker_engine.tasks t where t.task_id = batches.task_id)'),
      ('batch_items', '(select true from tasker_engine.tasks t where t.task_id = batch_items.task_id)')
    ) as rules(name, reached)
  loop
    execute format('alter table tasker_engine.%I enable row level security', rule.name);
    execute format('create policy confined on tasker_engine.%I using ((select not tasker_engine.is_confined()) or %s) with check (true)',
      rule.name, rule.reached);
  end loop;
end $$;
