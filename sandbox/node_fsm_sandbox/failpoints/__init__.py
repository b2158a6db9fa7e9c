"""Failpoints: named places before and after every effect on the outside, at which a service fails when told to.

The setting ``NODE_FSM_FAILPOINTS`` has a service fail there, once in each life: see
:mod:`~node_fsm_sandbox.failpoints.armed` for how it is written. ``python -m node_fsm_sandbox.failpoints`` lists all
names. An installation without this package refuses the setting.
"""
