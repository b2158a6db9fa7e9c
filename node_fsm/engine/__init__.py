"""The engine: it looks, decides, moves, and tells what it did."""
