"""The status page: what the service and its cluster are at, for people with a browser. It changes nothing."""
