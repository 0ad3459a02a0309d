"""The page itself: one HTML file with its style, its script and its data, that needs no network.

A content security policy lets only this script and this style work, by their hashes: whatever a symbol or the name of
a file says, it stays text. https://www.w3.org/TR/CSP3/
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
import secrets
from contextlib import suppress
from importlib import resources
from pathlib import Path

from dynarec.errors import DynarecError
from dynarec.inspect.model import Recording
from dynarec.inspect.report.contents import contents
from dynarec.inspect.report.listings import Listings
from dynarec.inspect.report.packing import packed

SCRIPTS = (
    "elements.js", "recording.js", "rows.js", "theme.js", "summary.js", "units.js", "listings.js", "unit.js",
    "layers.js", "graph.js", "cache.js", "time.js", "flame.js", "app.js",
)  # fmt: skip
"""In the order in which they are joined to one script."""
STYLES = ("page.css", "views.css")


def write(recording: Recording, path: Path) -> None:
    """Write the page to a file that appears when it is complete. Raises DynarecError."""
    page = render(recording)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        if path.exists() and not path.is_file():
            raise DynarecError(f"{path}: is no file, so no page is written to it: choose another name")
        try:
            with partial.open("x", encoding="ascii", newline="\n") as file:
                file.write(page)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            with suppress(OSError):
                partial.unlink()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DynarecError(f"{path}: the page cannot be written: {reason}") from error


def render(recording: Recording) -> str:
    """The page as text; ASCII."""
    listings = Listings(recording)
    script, style = _script(), _joined(STYLES)
    parts = {
        "title": _ascii(f"{recording.subject.program}: translation cache"),
        "policy": _policy(script, style),
        "style": style,
        "script": script,
        "listings": "\n".join(listings.chunks),
        "data": packed({**contents(recording), "listings": listings.index, "absent": listings.absent}),
    }
    return _fill(resources.files(__package__).joinpath("assets", "page.html").read_text("ascii"), parts)


def _fill(template: str, parts: dict[str, str]) -> str:
    """The template with each {{name}} replaced, once: what is put in is not looked at again."""
    pieces = template.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, rest = piece.split("}}", 1)
        filled += parts[name], rest
    return "".join(filled)


def _joined(names: tuple[str, ...]) -> str:
    folder = resources.files(__package__).joinpath("assets")
    return "\n".join(folder.joinpath(name).read_text("ascii") for name in names)


def _script() -> str:
    return f"(() => {{\n'use strict';\n{_joined(SCRIPTS)}\n}})();"


def _policy(script: str, style: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(script)}",
            f"style-src {_hash(style)}",
            "require-trusted-types-for 'script'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('ascii')).digest()).decode()}'"


def _ascii(text: str) -> str:
    """As HTML text of ASCII characters."""
    return html.escape(text).encode("ascii", "xmlcharrefreplace").decode()
