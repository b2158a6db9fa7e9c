"""A stand-in for jcli 0.13: the same command lines, files, exit codes, and first lines of what it prints.

Each group of commands is a module of its own, imported only when one of its commands is called: a call costs
little more than starting Python.
"""
