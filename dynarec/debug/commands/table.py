"""All commands, and how they are found by what users type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dynarec.debug.commands import looking, motion, stoppers, values
from dynarec.debug.commands.session import Command
from dynarec.errors import DynarecError

GROUPS = {
    "Running": motion.COMMANDS,
    "Stopping": stoppers.COMMANDS,
    "Values": values.COMMANDS,
    "Looking": looking.COMMANDS,
}
COMMANDS = tuple(command for group in GROUPS.values() for command in group)


def by_name(commands: Iterable[Command]) -> dict[str, Command]:
    """Commands by their names and aliases."""
    found: dict[str, Command] = {}
    for command in commands:
        for name in (command.name, *command.aliases):
            if name in found:
                raise ValueError(f"two commands are called {name}")
            found[name] = command
    return found


def find(word: str, names: Mapping[str, Command]) -> Command:
    """The command of a name or of its beginning. Raises DynarecError."""
    if word in names:
        return names[word]
    meant = {command.name: command for name, command in names.items() if name.startswith(word)}
    if not meant:
        raise DynarecError(f"there is no command {word!r}: help shows them")
    if len(meant) > 1:
        raise DynarecError(f"{word!r} may be {', '.join(sorted(meant))}")
    return next(iter(meant.values()))
