-- The database's roles, made once by whoever may make roles; docs/privileges.md says who gets which.
-- None of these can log in: each host, person and program has a login of its own that is in one of them.

CREATE ROLE node_fsm_owner;
CREATE ROLE node_fsm_operator;
CREATE ROLE node_fsm_node;
CREATE ROLE node_fsm_leader0 IN ROLE node_fsm_node;
CREATE ROLE node_fsm_member;
CREATE ROLE node_fsm_backup;

-- Of this database: nobody else so much as connects.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I OWNER TO node_fsm_owner', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO node_fsm_operator, node_fsm_node, node_fsm_member, node_fsm_backup',
        current_database());
    -- Block 0 and voters come over in temporary tables.
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO node_fsm_operator, node_fsm_leader0', current_database());
END $$;
