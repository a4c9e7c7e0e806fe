"""What is true: events, decisions, state, message types, workflows, ports. Pure: no I/O, no asyncio, no client library."""
