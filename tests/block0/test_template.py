"""Tests of the block 0 template."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from node_fsm.block0.template import load_template
from node_fsm.core.errors import PermanentError
from tests.block0.examples import TEMPLATE_FILE

Edit = Callable[[dict[str, Any]], object]


def written(path: Path, edit: Edit) -> Path:
    """The shipped template with *edit* made to its blockchain_configuration."""
    document = yaml.safe_load(TEMPLATE_FILE.read_text())
    edit(document["blockchain_configuration"])
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_shipped_template_is_for_a_production_chain_with_slots_of_4_seconds() -> None:
    template = load_template(TEMPLATE_FILE)

    assert (template.slot_duration, template.slots_per_epoch) == (4, 900)
    assert (template.production, template.address_prefix) == (True, "ca")
    assert (template.block_content_max_size, template.tx_max_expiry_epochs) == (640_000, 2)


def test_a_test_chain_has_test_addresses(tmp_path: Path) -> None:
    template = load_template(written(tmp_path / "t.yaml", lambda c: c.update(discrimination="test")))

    assert (template.production, template.address_prefix) == (False, "ta")


@pytest.mark.parametrize(("coefficient", "spelled"), [(1, 1), (1.0, 1), (0.1, "0.100"), (0.9996, 1), (0.0014, "0.001")])
def test_the_coefficient_is_spelled_as_jcli_prints_it(tmp_path: Path, coefficient: float, spelled: object) -> None:
    name = "consensus_genesis_praos_active_slot_coeff"
    template = load_template(written(tmp_path / "t.yaml", lambda c: c.update({name: coefficient})))

    assert template.configuration()[name] == spelled


def test_treasury_and_rewards_are_taken_from_what_funds_may_come_to(tmp_path: Path) -> None:
    template = load_template(written(tmp_path / "t.yaml", lambda c: c.update(treasury=5, total_reward_supply=7)))

    assert template.max_funds == 2**64 - 1 - 12


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c.pop("slot_duration"), "blockchain_configuration.slot_duration is missing; add it"),
        (lambda c: c.update(slot_duration=0), "slot_duration must be greater than or equal to 1; it is 0"),
        (lambda c: c.update(slot_duration=256), "slot_duration must be less than or equal to 255; it is 256"),
        (lambda c: c.update(slot_duration=1.5), "slot_duration must be a valid integer; it is 1.5"),
        (lambda c: c.update(slot_duration="4"), "slot_duration must be a valid integer; it is '4'"),
        (lambda c: c.update(slot_duration=True), "slot_duration must be a valid integer; it is True"),
        (lambda c: c.update(slots_per_epoch=1_000_001), "slots_per_epoch must be less than or equal to 1000000"),
        (lambda c: c.update(tx_max_expiry_epochs=0), "tx_max_expiry_epochs must be greater than or equal to 1"),
        (lambda c: c.update(kes_update_speed=59), "kes_update_speed must be greater than or equal to 60"),
        (lambda c: c.update(block0_consensus="genesis_praos"), "block0_consensus must be 'bft'"),
        (lambda c: c.update(discrimination="staging"), "discrimination must be 'production' or 'test'"),
        (lambda c: c.update(slot_length=4), "slot_length is not a field of the template; remove it"),
        (lambda c: c["linear_fees"].update(constant=2), "linear_fees.constant must be 0, because tallies are posted"),
        (lambda c: c["linear_fees"].update(extra=0), "linear_fees.extra is not a field of the template"),
        (lambda c: c.update(linear_fees=3), "linear_fees must be a mapping of field names to values; it is 3"),
        (lambda c: c.update(block0_date=1), "block0_date is set by the service, from voting_start"),
        (lambda c: c.update(consensus_leader_ids=[]), "consensus_leader_ids is set by the service, from jorm_nodes"),
        (lambda c: c.update(committees=[]), "committees is set by the service, from the committee table; remove it"),
    ],
)
def test_a_wrong_field_is_named_with_what_to_do(tmp_path: Path, edit: Edit, message: str) -> None:
    path = written(tmp_path / "election.yaml", edit)

    with pytest.raises(PermanentError) as caught:
        load_template(path)

    assert caught.value.reason == "TemplateInvalid"
    assert str(path) in caught.value.message
    assert f"blockchain_configuration.{message.removeprefix('blockchain_configuration.')}" in caught.value.message


def test_every_wrong_field_is_named_at_once(tmp_path: Path) -> None:
    def edit(configuration: dict[str, Any]) -> None:
        del configuration["treasury"]
        configuration["slot_duration"] = 0

    with pytest.raises(PermanentError, match=r"slot_duration must be .*; blockchain_configuration.treasury is missing"):
        load_template(written(tmp_path / "t.yaml", edit))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the file must be a mapping of field names to values; it is None"),
        (b"- 1\n", "the file must be a mapping"),
        (b"a: [", "is not YAML, correct it: while parsing a flow node"),
        (b"a: \xff\n", "is not UTF-8 text"),
        (b"initial: []\nblockchain_configuration: {}\n", "initial is set by the service, from voters, vote plans"),
    ],
)
def test_a_file_that_is_no_template_is_refused(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(text)

    with pytest.raises(PermanentError) as caught:
        load_template(path)

    assert message in caught.value.message


def test_a_missing_file_is_named_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"absent.yaml: cannot be read .*set NODE_FSM_BLOCK0_TEMPLATE"):
        load_template(tmp_path / "absent.yaml")
