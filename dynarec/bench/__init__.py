"""Measurements: how long programs take beside native code and emulators, and host instructions they execute."""
