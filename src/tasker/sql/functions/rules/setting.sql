-- setting: a number that a database owner may set for the whole fleet (`alter database … set tasker.NAME = …`).
create or replace function tasker_engine.setting(_name text) returns double precision language sql stable as $$
  select coalesce(
    nullif(current_setting('tasker.' || _name, true), '')::double precision,
    case _name
      when 'priority_s' then 60              -- one priority class weighs as much as this many seconds of waiting
      when 'retry_after_max_s' then 86400    -- the longest wait that a server may ask for
      when 'handler_missing_s' then 300      -- a step that no living worker can run fails after this time
      when 'overdue_grace_s' then 5          -- how long after its timeout a silent attempt is taken away
      when 'losses_forgiven' then 1          -- a step that is lost more often than this, one among others, is next run alone
      when 'worker_losses_max' then 3        -- a step that loses this many workers while alone ends
      when 'report_wait_s' then 0.25         -- how long a report stands in line for a task that is always busy
      when 'due_lookback_s' then 10          -- how far back a claim looks for due steps; the sweep looks everywhere
      when 'checkpoint_history' then 20      -- how many earlier cursors of a step are kept beside its last
      when 'batch_workers_max' then 10000    -- how many members a batch may have
      when 'stale_pending_s' then 3600       -- how long a task may wait for its first step
      when 'stale_retry_s' then 1800         -- how long a task may wait for a retry
      when 'stale_process_s' then 1800       -- how long nothing may move in a task that is in process
      when 'stale_lifetime_s' then 86400     -- how old a task may become
      when 'breaker_failure_threshold' then 5  -- so many failures in a row open a breaker
      when 'breaker_success_threshold' then 2  -- so many probes that succeed close it
      when 'breaker_probes' then 1             -- so many steps at once may probe whether its system is back
      when 'breaker_reset_s' then 30           -- how long it is open the first time; each time in a row, twice as long
      when 'breaker_reset_max_s' then 300      -- and at the longest
      when 'event_tries_max' then 10         -- how often a publisher or a subscriber may fail of one event
      when 'event_keep_s' then 604800        -- how long an event is kept once its subscribers have it
      when 'event_undelivered_keep_s' then 2592000  -- and how long for those who have not
      when 'message_keep_s' then 86400       -- how long a message of PGMQ lies unread, events apart
      when 'retention_s' then 2592000        -- how long a task is kept once it has ended; 0: for ever
      when 'grant_payload_bytes' then 65536  -- what a grant carries at most; the rest comes by load
    end)
$$;
