"""Processes, data dir and command line."""
