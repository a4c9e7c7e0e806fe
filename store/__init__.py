"""Where truth is kept: the event store, its snapshots, fences, marks, outbox and content documents."""
