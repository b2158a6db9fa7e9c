"""The service that runs an on-chain election by itself."""

__version__ = "0.1.0"
