"""The files that an operator imports, read with line and column."""
