"""Snapshots: guest memory, registers and time, machines and devices, files."""
