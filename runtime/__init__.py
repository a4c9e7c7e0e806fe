"""The only room that knows the others: settings, wiring, processes, supervisor, CLI."""
