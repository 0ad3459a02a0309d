"""All commands, and how they are found by what users type."""

from __future__ import annotations

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


def _by_name() -> dict[str, Command]:
    found: dict[str, Command] = {}
    for command in COMMANDS:
        for name in (command.name, *command.aliases):
            if name in found:
                raise ValueError(f"two commands are called {name}")
            found[name] = command
    return found


NAMES = _by_name()


def find(word: str, others: tuple[str, ...] = ()) -> Command | str:
    """The command of a name or of its beginning; one of the others by its name. Raises DynarecError."""
    if word in NAMES:
        return NAMES[word]
    meant = {command.name: command for name, command in NAMES.items() if name.startswith(word)}
    names = sorted([*meant, *(name for name in others if name.startswith(word))])
    if word in others or (len(names) == 1 and names[0] in others):
        return word if word in others else names[0]
    if not names:
        raise DynarecError(f"there is no command {word!r}: help shows them")
    if len(names) > 1:
        raise DynarecError(f"{word!r} may be {', '.join(names)}")
    return meant[names[0]]
