-- Sessions that are worked for over the network, by a server: whose each is, what it was opened for, and its latest turn. What
-- a verb needs of a worker in its own process stands here, so that any server can take any of the worker's calls.
--
-- `owner` names the caller who opened it; `namespaces` are the only ones that it works for (null: all); `pools` has the slot
-- pool (1, 2, …) of each handler; `turn` only ever rises, and is what fences a call that comes too late.
create table tasker_engine.remote_sessions (
  session_id int primary key references tasker_engine.sessions on delete cascade,
  owner text not null,
  namespaces text[],
  handlers text[] not null,
  pools int[] not null,
  system_dependencies text[] not null,
  queues text[],
  turn bigint not null default 0) with (fillfactor = 50);

-- What a session serves, with the slot pool of each channel.
create type tasker_engine.remote_serving as (channels int[], pools int[]);
