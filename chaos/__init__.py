"""What goes wrong: faults that are injected on purpose, each with a journal entry."""
