"""`python -m tests.soak [--seconds N] [--seed N] [TASK ...]`: random cases on several threads, until one goes wrong.

With a sanitizer in the core (`bash .ci/with_sanitizer thread python -m tests.soak`), races and wrong accesses end
it too. The exit status is 1 when a case went wrong; the seed that is printed then is its own.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field

from tests.soak.tasks import TASKS

TEN_MINUTES = 600
REPORT_SECONDS = 30


@dataclass
class Soak:
    """What the threads share."""

    until: float
    rounds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TASKS, 0))
    failed: list[str] = field(default_factory=list)

    @property
    def over(self) -> bool:
        return bool(self.failed) or time.monotonic() >= self.until


def main() -> int:
    """The exit status."""
    args = _arguments()
    faulthandler.enable()
    soak = Soak(time.monotonic() + args.seconds)
    print(f"seed {args.seed}", flush=True)
    threads = [threading.Thread(target=_work, args=(soak, name, args.seed)) for name in args.tasks or TASKS]
    for thread in threads:
        thread.start()
    _report(soak)
    for thread in threads:
        thread.join()
    for failure in soak.failed:
        print(failure, file=sys.stderr)
    print(" ".join(f"{name}: {count}" for name, count in soak.rounds.items()))
    return 1 if soak.failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "tasks", nargs="*", choices=[[], *TASKS], metavar="TASK", help=f"of {', '.join(TASKS)}; default: all"
    )
    parser.add_argument("--seconds", type=float, default=TEN_MINUTES, metavar="N", help="default: ten minutes")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), metavar="N", help="of the first cases")
    args = parser.parse_args()
    if unknown := set(args.tasks) - set(TASKS):
        parser.error(f"no such task: {', '.join(unknown)}")
    return args


def _work(soak: Soak, name: str, seed: int) -> None:
    while not soak.over:
        try:
            TASKS[name](random.Random(f"{name} {seed}"))
        except Exception:
            soak.failed.append(f"{name} --seed {seed}:\n{traceback.format_exc()}")
        soak.rounds[name] += 1
        seed += 1


def _report(soak: Soak) -> None:
    last = time.monotonic()
    while not soak.over:
        time.sleep(0.1)
        if time.monotonic() - last >= REPORT_SECONDS:
            last = time.monotonic()
            print(" ".join(f"{name}: {count}" for name, count in soak.rounds.items()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
