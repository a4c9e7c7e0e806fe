"""How good it is: workloads, metrics, checkers, benchmarks."""
