"""What every child has imported before it is forked: a sixth of a second of skills alone, seven times over, is most of a start. The
command imports this module, then makes the fork server a copy of itself; so does a server that takes the place of one that died.

The garbage collector rests meanwhile: among a hundred thousand new classes and functions it finds nothing, and looking takes a
quarter of the time. What is there at the end is frozen, so that no child's collector touches, and so copies, what is shared.
"""

import gc
import importlib

gc.disable()
for _module in (
    "runtime.child",
    "runtime.cli",
    "runtime.wiring",
    "projections.projector",
    "projections.schema",
    "faststream.kafka",
    "aiokafka",
    "anyio._backends._asyncio",  # FastStream has it imported when it stops: each process at its end, on its own
    "jsonschema_rs",
    "sqlalchemy.ext.asyncio",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "aiosqlite",
    "uvloop",
):
    importlib.import_module(_module)
for _module in importlib.import_module("runtime.wiring").SKILL_MODULES:
    importlib.import_module(_module)
gc.enable()
gc.freeze()
