"""A server of the GDB remote serial protocol, for GDB and LLDB (GDB manual, appendix "Remote Serial Protocol")."""
