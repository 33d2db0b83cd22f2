-- An index entry for each move of a task cost writers 3 % so that watchers find the last moment's moves. Rows of one time lie
-- together in a table that only grows, so the ranges of its pages tell as much, and cost nothing.
drop index tasker_engine.transitions_of_tasks_by_time;
create index transitions_by_time on tasker_engine.transitions using brin (at) with (pages_per_range = 32, autosummarize = on);
