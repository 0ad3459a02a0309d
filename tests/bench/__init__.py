"""`dynarec bench`, and a guard without a clock: how many host instructions the benchmark programs execute.

A change of the code generators shows as a change of `tests/bench/counts.json`. After one that is meant:

    python -m tests.bench --update
"""
