"""The Debug Adapter Protocol: the debugger for editors (https://microsoft.github.io/debug-adapter-protocol)."""
