-- What each role may do, and no more: run by the owner of the tables after every `node-fsm db upgrade`.
-- What was granted otherwise is taken back first, so it may be run again at any time.

BEGIN;

REVOKE ALL ON ALL TABLES IN SCHEMA public
    FROM PUBLIC, node_fsm_operator, node_fsm_node, node_fsm_leader0, node_fsm_member, node_fsm_backup;
GRANT USAGE ON SCHEMA public
    TO node_fsm_operator, node_fsm_node, node_fsm_leader0, node_fsm_member, node_fsm_backup;

-- Every node, leader or follower: reads all but the voters, and writes what it reports.
GRANT SELECT ON alembic_version, archive, archived_block, chain_copy, committee, decryption_share, election,
    election_revision, fragment_handover, jorm_nodes, lease, node_status, objective, phase_journal, proposal,
    published_specification, tally, tally_confirmation, tally_result, uncounted_vote, vote_plan, vote_plan_proposal
    TO node_fsm_node;
GRANT UPDATE (p2p_address) ON jorm_nodes TO node_fsm_node;
GRANT INSERT, UPDATE ON chain_copy, node_status TO node_fsm_node;
GRANT INSERT ON archive, archived_block, phase_journal TO node_fsm_node;
GRANT INSERT, UPDATE (from_host, resolved_at) ON fragment_handover TO node_fsm_node;
GRANT INSERT, DELETE, UPDATE (why) ON uncounted_vote TO node_fsm_node;

-- Leader 0, beside that: publishes block 0, tallies, and holds the lease.
GRANT SELECT ON voter TO node_fsm_leader0;
GRANT UPDATE (extras) ON election TO node_fsm_leader0;
GRANT UPDATE (revision) ON election_revision TO node_fsm_leader0;  -- to lock the row: it changes none
GRANT INSERT, UPDATE ON lease TO node_fsm_leader0;
GRANT INSERT, UPDATE (withdrawn_at, tally_snapshot, tally_snapshot_hash, decrypted) ON vote_plan TO node_fsm_leader0;
GRANT INSERT ON published_specification, vote_plan_proposal TO node_fsm_leader0;
GRANT INSERT (vote_plan, snapshot_hash, committee_member, sha256, share) ON decryption_share TO node_fsm_leader0;
GRANT INSERT, DELETE ON tally, tally_result TO node_fsm_leader0;

-- The operator: node-fsm election, node, lease; cannot touch what was published, voted or counted.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO node_fsm_operator;
GRANT INSERT, DELETE, UPDATE (id, name, description, voting_start, voting_end, tallying_end, committee_threshold,
    voting_power_unit, cancelled_at) ON election TO node_fsm_operator;
GRANT INSERT, UPDATE, DELETE ON committee, objective, proposal, voter, jorm_nodes TO node_fsm_operator;
GRANT INSERT, UPDATE ON election_revision TO node_fsm_operator;  -- the triggers that count edits run as whoever edits
GRANT UPDATE (withdrawn_at) ON vote_plan TO node_fsm_operator;
GRANT INSERT ON tally_confirmation TO node_fsm_operator;
GRANT UPDATE (acknowledged_at) ON uncounted_vote TO node_fsm_operator;
GRANT UPDATE (stopped, unconfirmed_holder) ON lease TO node_fsm_operator;
GRANT DELETE ON node_status TO node_fsm_operator;

-- A member of a committee: reads what shares are made of, and adds shares.
GRANT SELECT (id, name, voting_end, tallying_end, block0_hash) ON election TO node_fsm_member;
GRANT SELECT (election, member_index, member_public_key) ON committee TO node_fsm_member;
GRANT SELECT (id, election, block0_hash, chain_id, index, payload_type, encryption_key, tally_snapshot, tally_snapshot_hash)
    ON vote_plan TO node_fsm_member;
GRANT SELECT ON decryption_share TO node_fsm_member;
GRANT INSERT (vote_plan, snapshot_hash, committee_member, sha256, share) ON decryption_share TO node_fsm_member;

-- Backups: pg_dump reads all.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO node_fsm_backup;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO node_fsm_backup;

COMMIT;
