"""Source files: their names in the debugging information, and where the editor finds them."""

from __future__ import annotations

from pathlib import Path

from dynarec.debug.paths import parts
from dynarec.debug.source import Source
from dynarec.errors import DynarecError


def shown_source(source: Source, file: str) -> dict[str, object]:
    """A "Source" of the protocol for a file that debugging information names."""
    name = (parts(file) or [file])[-1]
    path = source.text.find(file)
    if path is None:
        return {"name": name, "path": file, "presentationHint": "deemphasize"}
    return {"name": name, "path": str(path.absolute())}


def known_file(source: Source, path: str) -> str:
    """The name in the debugging information of a file of the editor's. Raises DynarecError when there is none."""
    files = source.lines.files
    if path in files:
        return path
    wanted = _resolved(path)
    for file in files:
        found = source.text.find(file)
        if found is not None and _resolved(found) == wanted:
            return file
    return _by_last_names(source, path)


def _by_last_names(source: Source, path: str) -> str:
    """The file with the most last names in common with a path that is not where debugging information says."""
    names = parts(path)
    for at in range(len(names)):
        found = source.lines.find_files("/".join(names[at:]))
        if found:
            return found[0]
    raise DynarecError(f"{source.program.name} has no code of {names[-1] if names else path!r} (compile with -g)")


def _resolved(path: str | Path) -> Path | None:
    try:
        return Path(path).resolve()
    except (OSError, ValueError, RuntimeError):
        return None
