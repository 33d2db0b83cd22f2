-- Lists by when tasks ended, and by fields of their input that their template declares.
--
-- One more index entry for a task when it ends; the analytics begin there too. As with the other indexes of the lists, only
-- those ask for `template_id > 0`.
create index tasks_by_end on tasker_engine.tasks (finished_at, task_id) where finished_at is not null and template_id > 0;

-- The paths that templates declare; each once, whoever declares it.
create table tasker_engine.fields (
  field_id int generated always as identity primary key,
  path text not null unique,
  keys text[] not null);
create table tasker_engine.template_fields (
  template_id int not null references tasker_engine.templates,
  field_id int not null references tasker_engine.fields,
  keys text[] not null,
  primary key (template_id, field_id));

-- What the inputs of tasks have there, as text of at most 256 characters. Whoever deletes a task knows its rows by its
-- input: there is no index by task.
create table tasker_engine.task_fields (
  field_id int not null,
  value text not null,
  task_id uuid not null,
  primary key (field_id, value, task_id));
