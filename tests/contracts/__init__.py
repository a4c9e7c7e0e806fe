"""The same tests for every adapter of a port, its in-memory twin included."""
