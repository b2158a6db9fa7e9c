"""The eight phases of an election, one state class each."""
