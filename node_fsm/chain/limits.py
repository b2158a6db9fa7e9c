"""How much of a thing the chain takes: its format and its programs set these limits, nobody else does."""

MAX_OPTIONS = 16
"""Of a proposal."""

MAX_PROPOSALS = 255
"""Of a vote plan."""

MAX_TOKEN_NAME_SIZE = 32
"""Bytes."""

MAX_CERTIFICATE_SIZE = 81_911
"""Bytes. jcli takes a transaction's certificate as an argument, in bech32, and Linux an argument of at most 128 KiB."""

MAX_OUTPUTS = 254
"""Of a transaction, and so of one fund entry in the JSON that jcli encodes."""

LANES = 8
"""Of an account: each has a spending counter of its own."""
