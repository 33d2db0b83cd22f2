-- Lists by where tasks come from. One more entry for tasks that say so, none for others.
create index inputs_by_source on tasker_engine.inputs (source_system, task_id) where source_system is not null;
