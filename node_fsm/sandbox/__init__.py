"""Stand-ins for the outside world, for the tests and for the demo."""
