-- The one shape of an answer to a worker. It never changes: `info` is where later versions add.
--
--   grant          the session runs this step now (its attempt; tries before this one; info.is_alone, info.is_unchecked)
--   inputs, result payload is the context of the task, or the result of its step `number`, which a grant needs
--   verdict        an outcome that was not recorded as new: payload is already, stale or deferred
--   ended          the task has ended; payload is its state
--   gone           the session holds this attempt no longer
--   batch          payload is the number of the grant that follows, to be named in _finished_grants once all of it is over
--   session_ended  nothing is granted to this session any more: open a new one
--   next           info.due_s: seconds until the next step is due
create type tasker_engine.reply as (
  kind text, task_id uuid, number int, attempt int, tries int, template_id int, payload text, info json);

-- By how much the counters of a task change.
create type tasker_engine.task_change as (task_id uuid, open int, live int, due int, failed int);

-- A task whose row a verb holds, as it was when the lock was taken: verbs read a task once. `place` is where the row lies.
create type tasker_engine.held_task as (
  place tid, task_id uuid, template_id int, class smallint, state tasker_engine.state, open int, live int, due int, failed int,
  moves int, born_at timestamptz, paused_at timestamptz);
