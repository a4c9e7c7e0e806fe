"""One folder a room without I/O, contracts that every adapter of a port passes, and tests of the whole system."""
