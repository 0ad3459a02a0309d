"""The C programs again, as semihosted picolibc programs: what they print is what QEMU prints for their `user` build."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_programs import ARGUMENTS, COMPILER, QEMU, SOURCES, builder, missing, outcome

TARGET = "-march=rv32imac -mabi=ilp32 --specs=picolibc.specs --oslib=semihost --crt0=hosted"
FLAGS = f"{TARGET} -O2 -Wl,--defsym=__ram_size=0x400000"
READ_NO_ARGUMENTS = [source for source in SOURCES if "argv" not in source.read_text()]
"""This start file of picolibc hands none to main."""

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"needs {COMPILER} and {QEMU}")


@pytest.mark.parametrize("source", READ_NO_ARGUMENTS, ids=lambda path: path.stem)
def test_same_output_and_status_as_the_user_build(source: Path, tmp_path: Path) -> None:
    build = builder()
    user = build.build(build.Rom(source.stem, "user", source), tmp_path)
    expected = outcome([QEMU, user, *ARGUMENTS])
    assert expected[1]
    semihosted = tmp_path / "semihosted.elf"
    subprocess.run([COMPILER, *FLAGS.split(), source, "-o", semihosted], check=True)
    for tier in ("auto", "jit", "interp"):
        assert outcome([sys.executable, "-m", "dynarec", "run", semihosted, "--tier", tier]) == expected
