"""`rehydrate bench compare`: the workload of `bench steps` on ours and on other systems for durable workflows, in one run.

Everything runs on the same PostgreSQL, each in a database of its own. A peer lives in an environment of its own, made from a lock file,
because frameworks clash; nothing of it is imported here. Rounds are interleaved and ratios are taken within a round: machines are
noisy, and what slows one system of a round slows all.
"""
