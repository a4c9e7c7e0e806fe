"""Offline reasoners of a product launch: rules, not a language model, and named so wherever their work is shown.

Each is a pure function of its arguments: no I/O, no clock, no global random numbers, no order that depends on arrival or on
the process's hash seed. Equal inputs give equal bytes, so a step that is done twice after a crash gives one result.
"""

REASONER = "offline-rules/1"
"""What the outputs are signed with. The number rises when a rule changes what equal inputs give."""
