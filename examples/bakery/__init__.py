"""A bakery that delivers: an application written against `tasker_core`."""
