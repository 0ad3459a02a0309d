"""Long runs of everything at once, for sanitizers and for nights: `python -m tests.soak`."""
