"""Golden host code: what each host makes of each guest instruction, kept in readable listings.

A change of the generated code shows as a change of `tests/golden/*.txt`, to be read in review. After one that is meant:

    python -m tests.golden --update
"""
