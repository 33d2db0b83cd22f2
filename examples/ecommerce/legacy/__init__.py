"""The same checkout as older code has it: templates in the older spelling, handlers as classes with `process`."""
