"""The demo: two elections in a row on three nodes, with a service killed in each, seen live and checked at the end."""
