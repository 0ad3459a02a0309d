"""Builds `dynarec._native`: generates the interpreters and the cffi module, compiles them with the C core.

setuptools runs `BuildNative` in place of its own build_ext (pyproject.toml). `DYNAREC_CFLAGS` adds compiler flags, for
sanitizer builds.
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

SHARED = ("api", "blocks", "codemem", "device", "dispatch", "fault", "interp", "link", "memory")
HOSTS = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
SYSTEMS = {
    "linux": ("codemem_dualmap", "codemem_mprotect", "policies_linux"),
    "macos": ("codemem_apple_toggle", "policies_macos"),
}
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden")
SYSTEM_FLAGS = {"linux": ("-D_GNU_SOURCE",), "macos": ()}

COMPILER_MISSING = (
    "dynarec needs a C compiler, and {compiler!r} {problem}. Install one (Debian, Ubuntu: apt-get install gcc; macOS: "
    'xcode-select --install), or: pip install ziglang, then set CC="python -m ziglang cc"'
)

CALLBACKS = """
extern "Python" int dynarec_read_device(void *, uint32_t, uint32_t, uint32_t *);
extern "Python" int dynarec_write_device(void *, uint32_t, uint32_t, uint32_t);
void dynarec_connect(struct dr_core *core, void *handle);
"""

CONNECT = """
static int dynarec_read_device(void *, uint32_t, uint32_t, uint32_t *);
static int dynarec_write_device(void *, uint32_t, uint32_t, uint32_t);
static void dynarec_connect(struct dr_core *core, void *handle) {
    dr_set_device(core, handle, dynarec_read_device, dynarec_write_device);
}
"""


def host() -> str:
    """The host whose code this build runs."""
    machine = platform.machine().lower()
    if machine not in HOSTS:
        raise SystemExit(f"dynarec generates code for x86-64 and arm64; this machine is {machine}")
    return HOSTS[machine]


def system() -> str:
    """The system whose memory policies are built."""
    return "macos" if sys.platform == "darwin" else "linux"


def sources(host: str, system: str) -> list[Path]:
    """The hand-written sources of a build."""
    shared = [NATIVE / f"{name}.c" for name in (*SHARED, *SYSTEMS[system])]
    own = NATIVE / host
    return [*shared, own / "window.c", own / f"context_{system}.c", own / "enter.S"]


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
    module.set_source(MODULE, '#include "api.h"\n#include "device.h"\n' + CONNECT, py_limited_api=True)
    module.emit_c_code(str(folder / "_native.c"))
    return [folder / name for name in (*files, "_native.c")]


def compiler_problem(command: list[str]) -> str | None:
    """Why the compiler does not work, or None."""
    if shutil.which(command[0]) is None:
        return "was not found"
    probe = subprocess.run([*command, "--version"], capture_output=True, check=False)
    return None if probe.returncode == 0 else "does not run"


class BuildNative(build_ext):
    """build_ext that knows the sources of the core, and assembles `.S` files."""

    def build_extensions(self) -> None:
        compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
        if problem := compiler_problem(compiler):
            raise SystemExit(COMPILER_MISSING.format(compiler=" ".join(compiler), problem=problem))
        (extension,) = self.extensions
        paths = generate(Path(self.build_temp) / "generated") + sources(host(), system())
        extension.sources = [os.path.relpath(path) for path in paths]
        extra = shlex.split(os.environ.get("DYNAREC_CFLAGS", ""))
        extension.extra_compile_args = [*flags(host(), system()), *extra]
        extension.extra_link_args = [flag for flag in extra if flag.startswith("-fsanitize")]
        self.compiler.src_extensions.append(".S")
        super().build_extensions()
