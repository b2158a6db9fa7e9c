"""Watchers: they send signals ("look again") to the engine, never events."""
