"""Paths of source files as compilers write them: text, of the machine that compiled, not of this one."""

from __future__ import annotations

MAX_PATH = 4096


def join(directory: str, name: str) -> str:
    """The name seen from a directory; "" for one that is too long to be a path."""
    whole = name if not directory or is_absolute(name) else f"{directory.rstrip('/')}/{name}"
    return whole if len(whole) <= MAX_PATH else ""


def is_absolute(path: str) -> bool:
    """On either kind of system."""
    return path.startswith(("/", "\\")) or path[1:3] in (":/", ":\\")


def parts(path: str) -> list[str]:
    """The names in a path, without those that change nothing: `a/./b/../c` is `a/c`."""
    found: list[str] = []
    for part in path.replace("\\", "/").split("/"):
        if part == ".." and found and found[-1] != "..":
            found.pop()
        elif part not in ("", "."):
            found.append(part)
    return found


def ends_with(path: str, suffix: str) -> bool:
    """Whether the last names of a path are these: `/home/me/src/main.c` ends with `src/main.c`, not with `n.c`."""
    wanted = parts(suffix)
    return bool(wanted) and parts(path)[-len(wanted) :] == wanted
