"""A stand-in for jormungandr 0.13 that keeps its contract: command line, files, exit codes, REST, chain rules.

``main.py`` wires it. Blocks, fragments and the log of fragments are the real ones byte for byte; what nodes say to
each other is not.
"""
