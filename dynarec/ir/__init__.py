"""The intermediate representation: knows no guest and no host.

A unit is a list of ops in SSA form and one terminal. `ops` is the table from which builder, printer, parser, verifier,
folder and reference evaluator derive.
"""
