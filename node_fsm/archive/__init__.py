"""The archive of a chain: made, stored, read back and checked."""
