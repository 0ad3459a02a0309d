"""Host code generators, one package a host; every host has the same file names."""
