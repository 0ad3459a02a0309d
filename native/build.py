"""Builds `dynarec._native`: generates the interpreters and the cffi module, compiles them with the C core.

setuptools runs `BuildNative` in place of its own build_ext (pyproject.toml). `CC` names the compiler, `DYNAREC_CFLAGS`
adds flags, for sanitizer builds.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import cffi
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent.parent
NATIVE = ROOT / "native"
MODULE = "dynarec._native"

SHARED = (
    "api", "background", "blocks", "codemem", "codemem_dualmap", "codemem_split", "conditions", "decoded", "device",
    "devices/clint", "devices/finisher", "devices/plic", "devices/uart", "dispatch", "evaluated", "fault", "gdb_jit",
    "hooks", "interp", "link", "memory", "mirrors", "observe", "pages", "record", "region", "sites", "snapshot",
    "traps", "unit", "verify_arm64", "verify_x86_64",
)  # fmt: skip
HOSTS = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
SYSTEMS = {
    "linux": ("codemem_mprotect", "codemem_pkey", "policies_linux"),
    "macos": (
        "apple/entitlements", "codemem_apple_callback", "codemem_apple_toggle", "codemem_apple_witness",
        "policies_macos",
    ),
}  # fmt: skip
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden")
SYSTEM_FLAGS = {"linux": ("-D_GNU_SOURCE",), "macos": ()}

COMPILERS = ("cc", "gcc", "clang")  # tried in this order after Python's own, if CC does not name one
BUILDS = {("arm64", "linux"), ("arm64", "macos"), ("x86_64", "linux")}
SYSTEM_NAMES = {"linux": "linux", "darwin": "macos"}

# How pip hides installed packages from a build: a compiler that is a Python program would not find itself.
ISOLATION = ("PYTHONPATH", "PYTHONNOUSERSITE")

# What an archive of the sources holds beside the Python packages.
SOURCE_PATTERNS = ("native/**/*", "roms/**/*", "tests/**/*")

COMPILER_MISSING = (
    "dynarec needs a C compiler, and {compiler!r} {problem}. Install one (Debian, Ubuntu: apt-get install gcc; macOS: "
    'xcode-select --install), or: pip install ziglang, then set CC="python -m ziglang cc"'
)
HEADERS_MISSING = (
    "dynarec needs Python's C headers, and {folder} has no Python.h. Install them "
    "(Debian, Ubuntu: apt-get install python3-dev)"
)
NOT_SUPPORTED = "dynarec runs on {supported}; this Python is for {machine} and {platform}"

CALLBACKS = """
extern "Python" int dynarec_read_device(void *, uint32_t, uint32_t, uint32_t *);
extern "Python" int dynarec_write_device(void *, uint32_t, uint32_t, uint32_t);
extern "Python" void dynarec_uart_send(void *, const uint8_t *, uint32_t);
extern "Python" uint32_t dynarec_uart_source(void *, uint8_t *, uint32_t);
extern "Python" int dynarec_step(void *);
int dynarec_add_device(struct dr_core *core, uint32_t address, uint32_t size, void *handle);
void dynarec_connect_uart(struct dr_core *core, void *handle, int always_ready);
void dynarec_connect_stepper(struct dr_core *core, void *handle);
"""

CONNECT = """
#include "api.h"
#include "device.h"
#include "evaluated.h"

static int dynarec_read_device(void *, uint32_t, uint32_t, uint32_t *);
static int dynarec_write_device(void *, uint32_t, uint32_t, uint32_t);
static void dynarec_uart_send(void *, const uint8_t *, uint32_t);
static uint32_t dynarec_uart_source(void *, uint8_t *, uint32_t);
static int dynarec_step(void *);
static int dynarec_add_device(struct dr_core *core, uint32_t address, uint32_t size, void *handle) {
    return dr_add_python(core, address, size, handle, dynarec_read_device, dynarec_write_device);
}
static void dynarec_connect_uart(struct dr_core *core, void *handle, int always_ready) {
    dr_connect_uart(core, handle, dynarec_uart_send, always_ready ? dynarec_uart_source : NULL);
}
static void dynarec_connect_stepper(struct dr_core *core, void *handle) {
    dr_connect_stepper(core, handle, dynarec_step);
}
"""


def target() -> tuple[str, str]:
    """The host whose code this build runs, and the system whose memory policies it has; SystemExit if not supported."""
    machine = platform.machine().lower()
    found = (HOSTS.get(machine, machine), SYSTEM_NAMES.get(sys.platform, sys.platform))
    if found not in BUILDS:
        supported = ", ".join(" ".join(build) for build in sorted(BUILDS))
        raise SystemExit(NOT_SUPPORTED.format(supported=supported, machine=machine, platform=sys.platform))
    return found


def sources(host: str, system: str) -> list[Path]:
    """The hand-written sources of a build."""
    shared = [NATIVE / f"{name}.c" for name in (*SHARED, *SYSTEMS[system])]
    own = NATIVE / host
    return [*shared, *sorted(own.glob("[!c]*.c")), own / f"context_{system}.c", own / "enter.S"]


def flags(host: str, system: str) -> list[str]:
    """Compiler flags of a build, without those of the Python headers."""
    return [*FLAGS, *SYSTEM_FLAGS[system], f"-I{NATIVE}", f"-I{NATIVE / host}"]


def declarations() -> str:
    """abi.h and api.h as cffi can read them: no directives, constants as numbers."""
    text = "\n".join((NATIVE / name).read_text() for name in ("abi.h", "api.h"))
    defines = re.findall(r"^#define (DR_\w+) (\d+)\b", text, re.MULTILINE)
    body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for name, value in defines:
        body = re.sub(rf"\[{name}\]", f"[{value}]", body)
    return "\n".join(f"#define {name} ..." for name, _ in defines) + body + CALLBACKS


def generate(folder: Path) -> list[Path]:
    """Writes the generated C files; their paths."""
    sys.path.insert(0, str(ROOT))
    from guest_isa import bundled_guests
    from guest_isa.interpreter import generate as generate_interpreter
    from guest_isa.interpreter import generate_registry

    folder.mkdir(parents=True, exist_ok=True)
    guests = bundled_guests()
    files = {f"interp_{guest.name}.c": generate_interpreter(guest) for guest in guests}
    files["interp_registry.c"] = generate_registry(guests)
    for name, text in files.items():
        (folder / name).write_text(text)
    module = cffi.FFI()
    module.cdef(declarations())
    module.set_source(MODULE, CONNECT, py_limited_api=True)
    module.emit_c_code(str(folder / "_native.c"))
    return [folder / name for name in (*files, "_native.c")]


def compiler_problem(command: list[str]) -> str | None:
    """Why the compiler does not work, or None."""
    if shutil.which(command[0]) is None:
        return "was not found"
    probe = subprocess.run([*command, "--version"], capture_output=True, check=False)
    return None if probe.returncode == 0 else "does not run"


def find_compiler() -> str:
    """The command of the compiler: CC alone if it is set, else the first that works; SystemExit without one."""
    named = os.environ.get("CC")
    own = sysconfig.get_config_var("CC")
    candidates = [named] if named else [own, *COMPILERS] if own else COMPILERS
    problems = {command: compiler_problem(shlex.split(command)) for command in candidates}
    working = [command for command, problem in problems.items() if problem is None]
    if not working:
        raise SystemExit(COMPILER_MISSING.format(compiler=candidates[0], problem=problems[candidates[0]]))
    return working[0]


def check_headers() -> None:
    """SystemExit if Python's headers are not installed."""
    folder = sysconfig.get_paths()["include"]
    if not (Path(folder) / "Python.h").exists():
        raise SystemExit(HEADERS_MISSING.format(folder=folder))


def archived_files() -> list[str]:
    """What an archive of the sources holds beside the Python packages, relative to the project."""
    found = [path for pattern in SOURCE_PATTERNS for path in sorted(ROOT.glob(pattern)) if path.is_file()]
    return [str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts]


class BuildNative(build_ext):
    """build_ext that knows the sources of the core, and assembles `.S` files."""

    def run(self) -> None:
        """Settles on a compiler before setuptools takes its own from the configuration of Python."""
        target()
        for name in ISOLATION:
            os.environ.pop(name, None)
        os.environ["CC"] = find_compiler()
        check_headers()
        super().run()

    def get_source_files(self) -> list[str]:
        """What sdist adds to an archive of the sources."""
        return archived_files()

    def build_extensions(self) -> None:
        """Generates the sources that are generated and compiles all."""
        host, system = target()
        (extension,) = self.extensions
        paths = generate(Path(self.build_temp) / "generated") + sources(host, system)
        extension.sources = [os.path.relpath(path) for path in paths]
        extra = shlex.split(os.environ.get("DYNAREC_CFLAGS", ""))
        extension.extra_compile_args = [*flags(host, system), *extra]
        extension.extra_link_args = [flag for flag in extra if flag.startswith("-fsanitize")]
        self.compiler.src_extensions = [*self.compiler.src_extensions, ".S"]
        super().build_extensions()
