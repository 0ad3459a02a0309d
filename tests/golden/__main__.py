"""`python -m tests.golden [--update]`: compare the golden listings with what is generated now, or write them anew."""

from __future__ import annotations

import argparse
import sys

from dynarec.host import HOSTS
from tests.golden.listing import listing, path_of, update, without_text


def main() -> int:
    """The exit status: 1 if a listing is out of date."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write the listings anew")
    if parser.parse_args().update:
        update()
    stale = [name for name in HOSTS if without_text(path_of(name).read_text()) != without_text(listing(name))]
    for name in stale:
        print(f"{path_of(name)} is out of date: python -m tests.golden --update")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
