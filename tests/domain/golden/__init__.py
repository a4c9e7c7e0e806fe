"""Stored bytes of every version of every event that was ever released. Lines are added and never changed."""
