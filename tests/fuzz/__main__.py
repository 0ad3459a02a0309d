"""`python -m tests.fuzz TARGET [--seconds N]`: try inputs that nobody has thought of, until one finds a bug.

The exit status is 0 when none has, and that of libFuzzer otherwise; the input that found it is kept in a file, which
`python -m tests.fuzz TARGET FILE` runs again.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tracemalloc
from pathlib import Path
from typing import NoReturn

from tests.fuzz.targets import CORPUS, MODULES, Mutate, find_target

INSTALL = "atheris is not installed (it has wheels for Linux on x86-64): pip install -e '.[test,fuzz]'"
MISSING = 2
MEMORY_LIMIT_MB = 2048
INPUT_SECONDS = 20
"""No input may take longer."""
PACKAGES = ["dynarec", "guest_isa", "elftools.elf"]
"""What is instrumented: where new behaviour is looked for."""


def main() -> int:
    """The exit status."""
    args = _arguments()
    if args.file is not None:
        find_target(args.target).check(args.file.read_bytes())
        return 0
    if importlib.util.find_spec("atheris") is None:
        print(INSTALL, file=sys.stderr)
        return MISSING
    return _fuzz(args)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", choices=list(MODULES), help="what to try")
    parser.add_argument("file", type=Path, nargs="?", help="run this input once, without atheris")
    parser.add_argument("--seconds", type=int, default=0, metavar="N", help="end after so long (default: never)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random numbers (default: a new one)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep inputs with new behaviour, and begin from them")
    parser.add_argument("--finds", type=Path, default=Path(), metavar="DIR", help="where inputs that find a bug go")
    return parser.parse_args()


def _fuzz(args: argparse.Namespace) -> NoReturn:
    import atheris

    with atheris.instrument_imports(include=PACKAGES):
        target = find_target(args.target)
        for path in target.inputs():
            target.check(path.read_bytes())  # what is imported at its first use is instrumented too
    options = {
        "max_total_time": args.seconds,
        "seed": args.seed,
        "max_len": target.max_size,
        "timeout": INPUT_SECONDS,
        "rss_limit_mb": MEMORY_LIMIT_MB,
        "artifact_prefix": f"{args.finds}/{target.name}-",
        "print_final_stats": 1,
    }
    folders = [str(CORPUS / target.name)]
    if args.keep is not None:
        args.keep.mkdir(parents=True, exist_ok=True)
        folders.insert(0, str(args.keep))  # the first one is written to
    else:
        options["seed_inputs"] = ",".join(map(str, target.inputs()))
        folders.clear()
    tracemalloc.start()
    command = [sys.argv[0], *(f"-{name}={value}" for name, value in options.items()), *folders]
    atheris.Setup(command, target.check, **({"custom_mutator": _mutator(target.mutate)} if target.mutate else {}))
    atheris.Fuzz()
    raise SystemExit(0)


def _mutator(own: Mutate) -> Mutate:
    """The target's own changes and libFuzzer's, in turn."""
    import atheris

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        changed: bytes = own(data, max_size, seed) if seed & 1 else atheris.Mutate(data, max_size)
        return changed

    return mutate


if __name__ == "__main__":
    sys.exit(main())
