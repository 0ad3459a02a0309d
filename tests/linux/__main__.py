"""A real kernel: `python -m tests.linux build FOLDER` (Debian), `python -m tests.linux boot FOLDER [--only NAME]`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tests.linux.boot import boot
from tests.linux.build import build


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.linux", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("build", "make Image and disk from Debian packages"), ("boot", "boot them, type, and check")):
        commands.add_parser(name, help=text).add_argument("folder", type=Path)
    commands.choices["build"].add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    commands.choices["boot"].add_argument("--only", default="", help="machines whose names contain this")
    args = parser.parse_args()
    if args.command == "build":
        build(args.folder.resolve(), args.jobs)
    else:
        boot(args.folder.resolve(), args.only)


if __name__ == "__main__":
    main()
