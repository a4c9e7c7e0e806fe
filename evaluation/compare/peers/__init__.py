"""What runs inside the environment of a peer: `run.py` is the script, `on_NAME.py` the workload in the words of that peer.

Nothing here may import one of our rooms: the environment of a peer has none of our dependencies.
"""
