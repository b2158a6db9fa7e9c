#!/bin/sh
# Makes the logins of secrets.sh in a new database. It is sourced by the image's own script, so it must not exit.
psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --quiet --set ON_ERROR_STOP=1 --file /run/secrets/logins.sql
