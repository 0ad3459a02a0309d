"""Compiles and links the C core for one host and system, with any compiler, outside of setuptools.

`python .ci/compile_core.py HOST SYSTEM OUTPUT [--include FOLDER]... -- COMPILER...`: warnings are errors. The sources
and flags are those of native/build.py; FOLDERs hold headers for Python, in place of those of the Python that runs this.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from native import build  # noqa: E402

STRICT = ("-Werror", "-DPy_LIMITED_API=0x030B0000", "-fPIC")
# Compilers for macOS: nothing may be called that the oldest supported system lacks without asking first.
MACOS_HEADERS = Path(__file__).parent / "macos_headers"  # those that zig does not bundle
SYSTEM_STRICT = {
    "linux": (),
    "macos": ("-Werror=unguarded-availability-new", "-idirafter", str(MACOS_HEADERS)),
}
LINK_FLAGS = {"linux": ("-shared",), "macos": ("-shared", "-undefined", "dynamic_lookup")}


def compile_core(host: str, system: str, output: Path, include: list[str], compiler: list[str]) -> None:
    """One source at a time, so that every warning names its file; then the link."""
    headers = [word for folder in include for word in ("-isystem", folder)]  # whose own warnings do not count
    flags = [*build.flags(host, system), *STRICT, *SYSTEM_STRICT[system], *headers]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        objects = []
        for source in [*build.generate(folder), *build.sources(host, system)]:
            objects.append(folder / f"{source.name}.o")
            subprocess.run([*compiler, *flags, "-c", str(source), "-o", str(objects[-1])], check=True)
        subprocess.run([*compiler, *LINK_FLAGS[system], *map(str, objects), "-o", str(output)], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("host", choices=sorted(set(build.HOSTS.values())))
    parser.add_argument("system", choices=sorted(build.SYSTEMS))
    parser.add_argument("output", type=Path)
    parser.add_argument("--include", action="append", default=[])
    parser.add_argument("compiler", nargs="+")
    options = parser.parse_args()
    include = options.include or [sysconfig.get_paths()["include"]]
    try:
        compile_core(options.host, options.system, options.output, include, options.compiler)
    except subprocess.CalledProcessError as error:
        print(f"compile_core: {' '.join(error.cmd)}: exit status {error.returncode}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
