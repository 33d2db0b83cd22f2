"""The handlers of the bakery: functions for what is simple, classes for what has a configuration or takes long."""
