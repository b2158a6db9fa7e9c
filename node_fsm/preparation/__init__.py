"""What a person looks at before an election: whether this machine is ready for it, and what the election will be.

Nothing here changes anything that stays: what is written to try a right is gone again when it was tried.
"""
