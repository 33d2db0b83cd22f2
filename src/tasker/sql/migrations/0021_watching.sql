-- Whoever watches all tasks asks for their moves of the last moment. Tasks move two or three times in their life, so the index
-- is small beside that of all moves, and it grows at its end.
create index transitions_of_tasks_by_time on tasker_engine.transitions (at) where number = 0;
