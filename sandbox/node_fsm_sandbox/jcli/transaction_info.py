"""``jcli transaction info``: what is staged."""

from typing import Any

from node_fsm.chain.transactions import Input
from node_fsm_sandbox.jcli import files
from node_fsm_sandbox.jcli.arguments import Command, Option, Values
from node_fsm_sandbox.jcli.errors import CommandError
from node_fsm_sandbox.jcli.output_format import OPTION, formatted
from node_fsm_sandbox.jcli.staged import FEES, STAGING, fee_of, load, sign_data_hash


def _account_input(item: Input) -> dict[str, Any]:
    assert item.account is not None, "the sandbox spends from accounts only"
    return {"kind": "account", "value": item.value, "account": item.account.hex()}


def _info(values: Values) -> None:
    staging = load(values)
    fee, total = fee_of(values, staging), sum(item.value for item in staging.inputs)
    info = {
        "status": str(staging.stage),
        "sign_data_hash": sign_data_hash(staging).hex(),
        "num_inputs": len(staging.inputs),
        "num_outputs": 0,
        "num_witnesses": len(staging.witnesses),
        "input": total,
        "output": 0,
        "fee": fee,
        "balance": abs(total - fee),
        "inputs": [_account_input(item) for item in staging.inputs],
        "outputs": [],
    }
    text = formatted(info, values["output_format"])

    def refusal(reason: str) -> CommandError:
        return CommandError(f"could not write info file '{values['output']}'", reason)

    files.write(values["output"], f"{text}\n".encode(), refusal)


COMMAND = Command(_info, (STAGING, *FEES, Option("output", "output"), OPTION))
