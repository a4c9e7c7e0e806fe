"""The event store on PostgreSQL: one server-side call a batch, so that no lock waits for a frozen client."""
