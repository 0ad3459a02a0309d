"""Devices of machines: registers behind a range of guest addresses, one class each."""
