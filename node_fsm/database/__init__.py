"""The election database: Postgres behind the Database port."""

from node_fsm.database.adapter import PostgresDatabase

__all__ = ["PostgresDatabase"]
