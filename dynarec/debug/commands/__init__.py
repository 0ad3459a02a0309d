"""The debugger's command language: lines that users type, as GDB's users know them, to lines of text."""

from dynarec.debug.commands.interpreter import Commands as Commands
from dynarec.debug.commands.session import Session as Session
