"""The settings, read once from the environment."""
