"""Reading what the node writes: addresses, blocks, fragments and its fragment log, straight from their bytes.

Everything here is pure: it reads binary streams or files that it is given and knows nothing of the network, of
processes or of the database. Memory stays flat however large a block is.
"""
