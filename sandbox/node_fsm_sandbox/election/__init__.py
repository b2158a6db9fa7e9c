"""What it takes to hold an election: a world for the services, the services, an operator's files, voters' hands.

For whatever holds one: the demo, the system tests, the benchmarks.
"""
