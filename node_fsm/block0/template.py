"""The block 0 template: every parameter of a chain that does not depend on the election."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from node_fsm.core.errors import NOT_AS_EXPECTED, PermanentError
from node_fsm.core.printable import shortened

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times faster where libyaml is."""

_U64_MAX = 2**64 - 1

_U32 = Annotated[int, Field(ge=0, le=2**32 - 1)]
_U64 = Annotated[int, Field(ge=0, le=_U64_MAX)]
_NoFee = Annotated[int, Field(ge=0, le=0)]

_SET_BY_THE_SERVICE = {
    "blockchain_configuration.block0_date": "voting_start and the voting start offset",
    "blockchain_configuration.consensus_leader_ids": "jorm_nodes.leader_id",
    "blockchain_configuration.committees": "the committee table",
    "initial": "voters, vote plans and committee",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class LinearFees(_Strict):
    """All zero: voting is free, and the service's own tally transactions pay nothing."""

    constant: _NoFee
    coefficient: _NoFee
    certificate: _NoFee


class BlockchainConfiguration(_Strict):
    """The parameters by jcli's names, within jcli's limits."""

    discrimination: Literal["production", "test"]
    block0_consensus: Literal["bft"]
    slot_duration: Annotated[int, Field(ge=1, le=255)]
    slots_per_epoch: Annotated[int, Field(ge=1, le=1_000_000)]
    block_content_max_size: Annotated[int, Field(ge=1, le=2**32 - 1)]
    tx_max_expiry_epochs: Annotated[int, Field(ge=1, le=255)]
    linear_fees: LinearFees
    consensus_genesis_praos_active_slot_coeff: Annotated[float, Field(ge=0.001, le=1)]
    epoch_stability_depth: _U32
    kes_update_speed: Annotated[int, Field(ge=60, le=365 * 24 * 3600)]
    proposal_expiration: _U32
    treasury: _U64
    total_reward_supply: _U64


class Template(_Strict):
    """A checked template; read one with :func:`load_template`."""

    blockchain_configuration: BlockchainConfiguration

    @property
    def slot_duration(self) -> int:
        """Seconds between two slots."""
        return self.blockchain_configuration.slot_duration

    @property
    def slots_per_epoch(self) -> int:
        """Slots in an epoch."""
        return self.blockchain_configuration.slots_per_epoch

    @property
    def production(self) -> bool:
        """Whether addresses are for a production chain."""
        return self.blockchain_configuration.discrimination == "production"

    @property
    def address_prefix(self) -> Literal["ca", "ta"]:
        """The human-readable part of the chain's addresses."""
        return "ca" if self.production else "ta"

    @property
    def block_content_max_size(self) -> int:
        """The most bytes of fragments in one block."""
        return self.blockchain_configuration.block_content_max_size

    @property
    def tx_max_expiry_epochs(self) -> int:
        """How many epochs ahead a transaction may expire."""
        return self.blockchain_configuration.tx_max_expiry_epochs

    @property
    def max_funds(self) -> int:
        """The most that all funds can come to: with treasury and rewards they are summed in 64 bits."""
        configuration = self.blockchain_configuration
        return _U64_MAX - configuration.treasury - configuration.total_reward_supply

    def configuration(self) -> dict[str, Any]:
        """The parameters spelled as jcli prints them."""
        values = self.blockchain_configuration.model_dump()
        coefficient = f"{values.pop('consensus_genesis_praos_active_slot_coeff'):.3f}"
        return values | {"consensus_genesis_praos_active_slot_coeff": 1 if coefficient == "1.000" else coefficient}


def load_template(path: Path) -> Template:
    """Read the block 0 template at *path*, a YAML file.

    PermanentError ``TemplateInvalid`` names the file, every wrong field and what to do about it.
    """
    try:
        return Template.model_validate(yaml.load(path.read_text(encoding="utf-8"), _Loader))  # noqa: S506 - a safe loader
    except OSError as error:
        problems = f"cannot be read ({error.strerror}); set NODE_FSM_BLOCK0_TEMPLATE to a readable file"
    except UnicodeDecodeError as error:
        problems = f"is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
    except yaml.YAMLError as error:
        problems = f"is not YAML, correct it: {' '.join(str(error).split())}"
    except ValidationError as error:
        problems = "; ".join(map(_problem, error.errors(include_url=False)))
    except NOT_AS_EXPECTED as error:  # of a date, a number or a tag that there cannot be, or of nesting without end
        problems = f"has a value that cannot be read, correct it: {error}"
    raise PermanentError("TemplateInvalid", f"the block 0 template {path}: {problems}")


def _problem(error: ErrorDetails) -> str:
    field = ".".join(map(str, error["loc"]))
    given = shortened(error["input"])  # a few lines with aliases in them may stand for gigabytes
    if source := _SET_BY_THE_SERVICE.get(field):
        return f"{field} is set by the service, from {source}; remove it"
    if error["type"] == "missing":
        return f"{field} is missing; add it"
    if error["type"] == "extra_forbidden":
        return f"{field} is not a field of the template; remove it or correct its spelling"
    if error["type"] in {"model_type", "invalid_key"}:
        return f"{field or 'the file'} must be a mapping of field names to values; it is {given}"
    if field.startswith("blockchain_configuration.linear_fees."):
        return f"{field} must be 0, because tallies are posted without a fee; it is {given}"
    requirement = error["msg"].removeprefix("Input should be ")
    return f"{field} must be {requirement}; it is {given}"
