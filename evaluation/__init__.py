"""How good it is: benchmarks, each printing one JSON document."""
