"""Trace files: JSON Lines, one session line and then a line a turn."""
