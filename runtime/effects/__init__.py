"""Adapters for effects on the world: a spool on this machine, and a gateway over HTTP."""
