"""Postgres and S3 from wheels, run as guarded children."""
