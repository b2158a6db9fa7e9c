"""Block 0 and fragments as jcli encodes them, without signatures that would hold."""

import json
from base64 import b64decode
from hashlib import blake2b
from pathlib import Path
from struct import pack
from typing import Any

from node_fsm_sandbox.formats import certificates

from node_fsm.chain import bech32
from node_fsm.chain.address import ed25519_public_key, parse_account_address
from node_fsm.chain.fragments import FragmentKind
from tests.chain import build

SIGNED = "signedcert1"


def encode_block0(document: dict[str, Any]) -> bytes:
    """The block 0 of a genesis document."""
    configuration = document["blockchain_configuration"]
    test = configuration["discrimination"] == "test"
    fragments = [_configuration(configuration)]
    for entry in document["initial"]:
        if "fund" in entry:
            outputs = [(build.address(_account(to), test=test), int(to["value"])) for to in entry["fund"]]
            fragments.append(build.fund(*outputs))
        elif "token" in entry:
            name = bytes.fromhex(entry["token"]["token_id"].partition(".")[2])
            fragments += [build.token(_account(to), int(to["value"]), name) for to in entry["token"]["to"]]
        else:
            fragments.append(build.plan(bytes.fromhex(entry["cert"].removeprefix(SIGNED))))
    return build.block(fragments)


def encode_plan(document: dict[str, Any]) -> bytes:
    """The content of a vote plan, of which its id is the hash."""
    dates = [
        document[name][part] for name in ("vote_start", "vote_end", "committee_end") for part in ("epoch", "slot_id")
    ]
    proposals = [
        bytes.fromhex(proposal["external_id"]) + bytes([proposal["options"], 0]) for proposal in document["proposals"]
    ]
    policy, _, name = document["voting_token"].partition(".")
    token = bytes.fromhex(policy) + bytes([len(name) // 2]) + bytes.fromhex(name)
    payload_type = {"public": 1, "private": 2}[document["payload_type"]]
    keys = [bech32.decode(key)[1] for key in document["committee_member_public_keys"]]
    return b"".join(
        [
            pack(">IIIIII", *dates) + bytes([payload_type, len(proposals)]),
            *proposals,
            bytes([len(keys)]),
            *keys,
            token,
        ]
    )


def public_tally_content(plan_id: str) -> bytes:
    """What the tally of a public plan says."""
    return bytes.fromhex(plan_id) + b"\1"


def private_tally_content(plan_id: str, result: Path, merged: Path) -> bytes:
    """What the tally of a private plan says: the shares and the votes of each proposal, from jcli's files."""
    proposals = json.loads(result.read_text())["proposals"]
    opened = [
        (list(map(b64decode, shares)), proposal["tally"]["Private"]["state"]["Decrypted"]["result"]["results"])
        for proposal, shares in zip(proposals, json.loads(merged.read_text()), strict=True)
    ]
    return certificates.private_tally(bytes.fromhex(plan_id), opened)


def tally(content: bytes, account: bytes, *, expiry: tuple[int, int] = (9, 9), counter: int = 0) -> bytes:
    """A tally that says *content*, signed by *account*; *counter* with its lane in the highest bits."""
    spine = build.account_spine(account, expiry=expiry, counter=counter)
    is_private = content[32] == 2
    return build.fragment(FragmentKind.VOTE_TALLY, content + spine + bytes([is_private]) + account + build.SIGNATURE)


def fragment_id(raw: bytes) -> str:
    """The id of a fragment on the chain."""
    return blake2b(raw, digest_size=32).hexdigest()


def _account(output: dict[str, Any]) -> bytes:
    return parse_account_address(output["address"]).public_key


def _configuration(values: dict[str, Any]) -> bytes:
    fees = values["linear_fees"]
    parameters = [
        (1, bytes([1 if values["discrimination"] == "production" else 2])),
        (2, pack(">Q", values["block0_date"])),
        (3, pack(">H", 1)),
        (4, pack(">I", values["slots_per_epoch"])),
        (5, bytes([values["slot_duration"]])),
        (6, pack(">I", values["epoch_stability_depth"])),
        (8, pack(">Q", round(1000 * float(values["consensus_genesis_praos_active_slot_coeff"])))),
        (9, pack(">I", values["block_content_max_size"])),
        *[(11, ed25519_public_key(leader)) for leader in values["consensus_leader_ids"]],
        (14, pack(">QQQ", fees["constant"], fees["coefficient"], fees["certificate"])),
        (15, pack(">I", values["proposal_expiration"])),
        (16, pack(">I", values["kes_update_speed"])),
        (17, pack(">Q", values["treasury"])),
        (19, pack(">Q", values["total_reward_supply"])),
        *[(26, bytes.fromhex(member)) for member in values.get("committees", ())],
        (29, bytes([values["tx_max_expiry_epochs"]])),
    ]
    content = b"".join(build.parameter(tag, payload) for tag, payload in parameters)
    return build.fragment(FragmentKind.INITIAL, pack(">H", len(parameters)) + content)
