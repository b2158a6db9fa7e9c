"""The template of block 0 for tests: short slots and epochs, addresses of a test chain."""

TEMPLATE = {
    "blockchain_configuration": {
        "discrimination": "test",
        "block0_consensus": "bft",
        "slot_duration": 1,
        "slots_per_epoch": 20,
        "block_content_max_size": 102400,
        "tx_max_expiry_epochs": 2,
        "linear_fees": {"constant": 0, "coefficient": 0, "certificate": 0},
        "consensus_genesis_praos_active_slot_coeff": 1.0,
        "epoch_stability_depth": 102400,
        "kes_update_speed": 46800,
        "proposal_expiration": 100,
        "treasury": 0,
        "total_reward_supply": 0,
    }
}
