-- urgency: the earlier, the more urgent. Waiting ages all alike, a priority class is worth some seconds of it.
create or replace function tasker_engine.urgency(_born_at timestamptz, _class int, _priority_s double precision)
returns timestamptz language sql stable as $$
  select _born_at - make_interval(secs => _class * _priority_s)
$$;
