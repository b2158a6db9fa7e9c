"""Stand-ins for the outside world, for the tests and for the demo."""

__version__ = "0.1.0"
