"""Real servers for tests: each is started from what is installed, or is one that runs already and that the environment names.

Conventions of every module here:
- A session fixture gives the address of a server that its tests share. REHYDRATE_TEST_KAFKA and REHYDRATE_TEST_POSTGRES name one that runs.
- What is not there is `missing`: its tests are skipped, and say why. With REHYDRATE_TEST_SERVICES=required they fail.
- A test that needs a server carries the marker `services`; one that takes its server down has a server of its own.
- Servers listen on loopback only, on ports that were free, and die with the process that started them.

`make services` installs what they need (`tests/services/install.py`), `make test-services` runs all their tests.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest

SERVICES = Path(__file__).parents[2] / ".services"
"""What was fetched for servers; git ignores it."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def required() -> bool:
    """Whether a server that is missing is a failure."""
    return os.environ.get("REHYDRATE_TEST_SERVICES") == "required"


def missing(reason: str) -> NoReturn:
    """There is no such server here: skip the test, or fail it where servers are required."""
    if required():
        pytest.fail(f"REHYDRATE_TEST_SERVICES=required, but {reason}", pytrace=False)
    pytest.skip(reason)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that are free now, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def die_with_parent() -> None:
    """As `preexec_fn` of a server's process: it is killed when the tests are, however they end."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
