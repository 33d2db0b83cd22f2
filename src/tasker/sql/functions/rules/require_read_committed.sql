-- require_read_committed: verbs lock in one statement and read what the locks protect in the next.
create or replace function tasker_engine.require_read_committed() returns void language plpgsql as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'this verb runs under READ COMMITTED, not %', upper(current_setting('transaction_isolation'))
      using errcode = 'TK002', hint = 'begin the transaction with ISOLATION LEVEL READ COMMITTED';
  end if;
end $$;
