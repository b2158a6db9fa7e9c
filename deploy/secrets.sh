#!/bin/sh
# Makes secrets/ for compose.yaml: a database login and an S3 credential for each service and person, and nobody's twice.
# They are files, so that neither `docker inspect` nor a process's environment shows them. The directory is yours alone;
# what is in it can be read by the containers' users, which are other ones.
set -eu
cd "$(dirname "$0")"
mkdir -m 700 secrets
cd secrets

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

login() { # NAME, and what the statement that gives it a password begins and ends with
    password=$(random)
    echo "postgresql://$1:$password@postgres:5432/elections" > "database-url-$1"
    echo "$2 $1 LOGIN PASSWORD '$password'$3;" >> logins.sql
}

random > postgres-password
random > grafana-password
login node_fsm_owner "ALTER ROLE" ""
login operator "CREATE ROLE" " IN ROLE node_fsm_operator"
login backup "CREATE ROLE" " IN ROLE node_fsm_backup"
login leader0 "CREATE ROLE" " IN ROLE node_fsm_leader0"
for name in leader1 leader2 follower3; do
    login "$name" "CREATE ROLE" " IN ROLE node_fsm_node"
done

echo root > s3-root-access
random > s3-root
separator=
{
    printf '{"accessAccounts": {'
    for name in operator backup leader0 leader1 leader2 follower3; do
        random > "s3-$name"
        printf '%s\n "%s": {"access": "%s", "secret": "%s", "role": "user"}' "$separator" "$name" "$name" "$(cat "s3-$name")"
        separator=,
    done
    printf '\n}}\n'
} > s3-users.json

chmod 444 ./*
