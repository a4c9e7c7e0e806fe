"""Read models: built from events that the domain's own decisions gave."""
