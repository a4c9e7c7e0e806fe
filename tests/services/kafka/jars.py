"""Where Kafka's jars are, and how they come there: Maven copies what `pom.xml` names into `.services/kafka`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.services import SERVICES

POM = Path(__file__).with_name("pom.xml")
JARS = SERVICES / "kafka"
_STAMP = "pom.xml"
JAVA_AT_LEAST = 17


class CannotFetch(Exception):
    """Maven is missing or failed; the message says which and what to do."""


def java() -> str | None:
    """The Java to run Kafka with, None where there is none of version 17 or newer."""
    home = os.environ.get("JAVA_HOME")
    for candidate in (f"{home}/bin/java" if home else None, shutil.which("java")):
        if candidate is None:
            continue
        try:
            told = subprocess.run([candidate, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
        except OSError:
            continue
        version = re.search(r'version "(\d+)', told)
        if version is not None and int(version[1]) >= JAVA_AT_LEAST:
            return candidate
    return None


def fetched() -> bool:
    """Whether the jars of this pom.xml are there."""
    stamp = JARS / _STAMP
    return stamp.exists() and stamp.read_bytes() == POM.read_bytes()


def fetch() -> None:
    """Fetch the jars, where they are not there yet. An interrupted fetch leaves nothing that looks like a whole one.

    Raises:
        CannotFetch: no Maven, or it failed.
    """
    if fetched():
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise CannotFetch("Kafka's jars need Maven, which is not installed; Debian, Ubuntu: apt-get install maven")
    SERVICES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SERVICES) as place:
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={place}/jars"]
        ended = subprocess.run([maven, "-q", "-B", "-f", str(POM), *goal], capture_output=True, text=True, check=False)
        if ended.returncode:
            said = [line for line in (ended.stdout + ended.stderr).splitlines() if "ERROR" in line]
            raise CannotFetch(f"Maven could not fetch Kafka's jars: {said[0] if said else f'exit code {ended.returncode}'}")
        shutil.copy(POM, Path(place, "jars", _STAMP))
        shutil.rmtree(JARS, ignore_errors=True)
        Path(place, "jars").rename(JARS)
