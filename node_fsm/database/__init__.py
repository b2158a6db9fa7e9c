"""The election database: Postgres behind the Database port."""
