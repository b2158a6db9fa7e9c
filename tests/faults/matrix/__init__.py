"""What the cells of the fault matrix are run with."""
