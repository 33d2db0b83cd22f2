-- Indexes of the reads. By template and state serves every filter by namespace, name and version, with a state or without,
-- in the order of the list; it replaces the one by namespace, so that a task costs no more than before. The others cost
-- only the tasks that have what they index.
--
-- The condition on two of them always holds, and only the lists ask for it: so no plan that looks for a task by its id can
-- take the wrong index, which newer servers do (they skip over the leading columns) while a table is small.
drop index tasker_engine.tasks_by_namespace;
drop index tasker_engine.tasks_by_state;
create index tasks_by_state on tasker_engine.tasks (state, task_id) where template_id > 0;
create index tasks_by_template on tasker_engine.tasks (template_id, state, task_id) where template_id > 0;
create index inputs_by_correlation on tasker_engine.inputs (correlation_id, task_id) where correlation_id is not null;
create index inputs_by_initiator on tasker_engine.inputs (initiator, task_id) where initiator is not null;
create index inputs_by_tag on tasker_engine.inputs using gin (tags) where tags is not null;
create index due_by_task on tasker_engine.due (task_id);
