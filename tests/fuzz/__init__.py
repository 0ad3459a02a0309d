"""Fuzz targets: functions that any bytes must pass through, with inputs to begin from and a command that finds more."""
