"""What goes wrong: faults that are injected on purpose, each bounded from inside by a time to live."""
