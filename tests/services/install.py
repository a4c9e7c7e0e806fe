"""`make services`: bring what tests against real servers need. Kafka comes as jars by Maven, everything else from the distribution.

As root on Debian and its kin it installs; elsewhere it says in one line what to install.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.services.kafka import jars
from tests.services.kafka.server import ARCHIVE, KafkaServer
from tests.services.postgres import programs


def wanted() -> list[str]:
    """Debian's names of what is not here."""
    return [
        package
        for package, there in (
            ("postgresql", programs() is not None),
            ("default-jre-headless", jars.java() is not None),
            ("maven", jars.fetched() or shutil.which("mvn") is not None),
            ("openssl", shutil.which("openssl") is not None),
        )
        if not there
    ]


def install(packages: list[str]) -> None:
    """Install Debian packages. RUNLEVEL=1 keeps a server that comes with one from being started."""
    environment = {**os.environ, "RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode:
        # Lists that are too old name packages that are gone.
        subprocess.run(["apt-get", "update"], env=environment, stdout=sys.stderr, check=False)
        subprocess.run(command, env=environment, stdout=sys.stderr, check=False)


def archive_classes() -> None:
    """Have a Kafka write down its classes when it ends, for all that start later. It is only for speed, so it may fail."""
    if ARCHIVE.exists():
        return
    with tempfile.TemporaryDirectory() as home:
        server = KafkaServer(Path(home))
        try:
            server.start(f"-XX:ArchiveClassesAtExit={ARCHIVE}")
        except AssertionError as error:
            _tell(f"make services: Kafka does not start here: {error}")
        finally:
            server.stop()


def main() -> int:
    """Install and fetch; gives the exit code."""
    packages = wanted()
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        install(packages)
        packages = wanted()
    if packages:
        _tell(f"make services: install these and try again (Debian's names): {' '.join(packages)}")
        return 1
    try:
        jars.fetch()
        archive_classes()
    except jars.CannotFetch as error:
        _tell(f"make services: {error}")
        return 1
    _tell(f"services: PostgreSQL of {programs()}, Kafka of {jars.JARS}")
    return 0


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
