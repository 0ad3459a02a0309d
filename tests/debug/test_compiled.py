"""The same program as each version of the format and each level of optimisation describe it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.debug.build import COMPILER, build
from tests.debug.stopped import MARKED, Stopped

pytestmark = pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"needs {COMPILER}")
FORMATS = [*((version, level) for version in (4, 5) for level in ("-O0", "-O1", "-O2", "-Og"))]


@pytest.fixture(params=FORMATS, ids=lambda each: f"{each[0]}{each[1]}")
def stopped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stopped]:
    version, level = request.param
    made = Stopped(build(tmp_path_factory.mktemp("debug") / "program.elf", "-g", f"-gdwarf-{version}", level))
    yield made
    made.machine.close()


def test_backtrace_and_arguments(stopped: Stopped) -> None:
    (add,) = stopped.source.functions.find("add")
    stopped.run_to(add.low)
    assert stopped.names()[:3] == ["add", "walk", "main"]
    assert stopped.names()[-1] == "_start"
    stopped.run_to(stopped.source.after_prologue(add))
    assert (stopped.text("a"), stopped.text("b")) == ("int a = 1", "int b = 2")
    walk = stopped.frames()[1]
    assert walk.line == MARKED["walk calls"]
    assert stopped.text("count", 1) == "int count = 0"


def test_inlined_functions(stopped: Stopped) -> None:
    stopped.run_to_line("in twice")
    names = stopped.names()
    assert names[0] == "twice"
    assert names[1] == "main"
    assert stopped.frames()[0].is_inlined
    assert stopped.frames()[1].line == MARKED["main calls"]


def test_the_backtrace_holds_at_every_instruction(stopped: Stopped) -> None:
    (walk,) = stopped.source.functions.find("walk")
    stopped.run_to(walk.low)
    while stopped.source.functions.at(stopped.machine.pc) is walk:
        assert stopped.names()[:2] == ["walk", "main"], hex(stopped.machine.pc)
        stopped.machine.run(1)


@pytest.mark.parametrize("flags", [["-gz=zlib"], ["-gdwarf64", "-gdwarf-5"], ["-gdwarf-3"], ["-gdwarf-2"]], ids=str)
def test_other_encodings(flags: list[str], tmp_path: Path) -> None:
    stopped = Stopped(build(tmp_path / "program.elf", "-g", "-O0", *flags))
    stopped.run_to_function("add")
    assert stopped.names() == ["add", "walk", "main", "_start"]
    assert (stopped.text("a"), stopped.text("total")) == ("int a = 1", "int total = 3")
    stopped.machine.close()
