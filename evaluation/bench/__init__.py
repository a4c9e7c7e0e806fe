"""Benchmarks of what the design promises. Baselines are measured in the same run, since machines are noisy: trust ratios."""
