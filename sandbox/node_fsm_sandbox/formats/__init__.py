"""What the stand-ins write and check, byte for byte as the real programs do: keys, transactions, ballots."""
