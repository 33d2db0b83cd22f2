"""Domain events: from outcomes to events, and on to their subscribers."""
