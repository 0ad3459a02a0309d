"""What the recompiler did, why, and what it cost.

A `Recorder` watches one machine and makes `Recording`s: values that hold everything there is to say about its code
cache at one moment. All views (the terminal's, the page, the tables, comparisons, exports) are made from a recording,
so that they show the same whether it was taken a moment ago, read from a file, or sent by another process.
"""
