"""``jcli genesis init``: an example of the file that ``genesis encode`` takes, with keys that nobody has."""

import os
import time

from node_fsm.chain.address import account_address, ed25519_public_key_text
from node_fsm_sandbox.formats.crypto import PLAIN_SIZE, SigningKey
from node_fsm_sandbox.jcli.arguments import Command, Values
from node_fsm_sandbox.jcli.files import say

_EXAMPLE = """\
blockchain_configuration:
  # When the chain begins, in seconds since 1970.
  block0_date: {date}
  # Whether addresses are those of a test or of a production chain.
  discrimination: test
  block0_consensus: bft
  # How long a slot is, and how many make an epoch.
  slot_duration: 5s
  slots_per_epoch: 720
  # The public keys of those who take turns to make blocks.
  consensus_leader_ids:
    - {leader}
  # What a transaction costs: once, for each input and output, for a certificate.
  linear_fees:
    constant: 2
    coefficient: 1
    certificate: 4
  # The public keys, in hex, of those who can add vote plans and tally.
  committees:
    - {committee}

# What the chain begins with, in this order.
initial:
  - fund:
      - address: {address}
        value: 10000
  - token:
      token_id: {policy}.7e5d6abc
      to:
        - address: {address}
          value: 150
"""


def _init(_: Values) -> None:
    leader, committee, owner = (SigningKey(os.urandom(PLAIN_SIZE)).public_key for _ in range(3))
    say(
        _EXAMPLE.format(
            date=int(time.time()),
            leader=ed25519_public_key_text(leader),
            committee=committee.hex(),
            address=account_address(owner, production=False),
            policy="00" * 28,
        )
    )


COMMAND = Command(_init)
