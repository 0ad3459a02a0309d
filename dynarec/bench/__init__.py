"""Measurements: how long programs take beside native code and QEMU, and how many host instructions they execute."""
