-- How far a long step has come: written under the fence of its attempt, read by the attempts that follow.
create table tasker_engine.checkpoints (
  task_id uuid not null,
  number int not null,
  attempt int not null,
  cursor jsonb not null,
  items_processed bigint not null default 0,
  accumulated jsonb,
  saves int not null default 1,
  history jsonb not null default '[]',
  saved_at timestamptz not null,
  primary key (task_id, number)) with (fillfactor = 50);
