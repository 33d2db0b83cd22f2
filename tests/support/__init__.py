"""What tests build on: one server a run, a database a test, and a driver of the engine with its own clock."""
