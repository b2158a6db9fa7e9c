"""From an election to block 0, pure: limits, what may be specified, vote plans, the genesis document, its template."""
