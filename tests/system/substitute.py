"""Another owner for an agent of a swarm that runs, as if on another machine: no supervisor starts it, none can kill the first.

python -m tests.system.substitute AGENT          (the swarm's environment names data dir and database)
"""

from __future__ import annotations

import sys
from multiprocessing import Pipe

from broker.connection import Cluster
from runtime import kafka
from runtime.child import Order, agent_main
from runtime.datadir import DataDir
from runtime.settings import Settings


def main(agent: str) -> None:
    settings = Settings()
    data = DataDir(settings.data_dir, settings.database).open(create=False)
    _alive, lifeline = Pipe()  # whose end it holds itself: nobody else watches over it
    _heard, beats = Pipe()
    embedded = Cluster(kafka.recall(data).embedded, embedded=True)
    agent_main(agent, lifeline, beats, Order(settings, embedded, detected_by="test"))


if __name__ == "__main__":
    main(sys.argv[1])
