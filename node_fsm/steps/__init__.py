"""What the phases call, context in hand: each module is one thing that a phase does."""
