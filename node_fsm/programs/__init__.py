"""External commands: run with deadlines, kept on a leash; jcli."""
