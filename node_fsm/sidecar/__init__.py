"""The HTTP side of the service: heartbeat, health, metrics, state."""
