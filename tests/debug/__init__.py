"""The debugger, and what it knows of the source."""
