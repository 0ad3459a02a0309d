"""`dynarec sign-python`, and what `dynarec doctor` says of Python's signature: on a machine that takes itself for a
Mac, with a `codesign` that is a script."""

from __future__ import annotations

import platform
import plistlib
import shlex
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from dynarec import cli
from dynarec.commands import doctor, sign_python
from dynarec.signature import ALLOW_JIT, ALLOW_LIST, FREEZE_LATE, Signature, advice, read_signature

Run = Callable[..., tuple[int, str, str]]
LIBRARIES = "com.apple.security.cs.disable-library-validation"

CODESIGN = """#!/bin/sh
echo "$*" >> {log}
case "$*" in
    *--xml*) cat {folder}/entitlements;;
    *--verbose*) cat {folder}/about >&2; exit $(cat {folder}/status);;
    *) test ! -e {folder}/broken || {{ echo "no space"; echo "codesign failed" >&2; exit 1; }};;
esac
"""
PYTHON = """#!/bin/sh
echo "$0 $*" >> {log}
test ! -e {folder}/killed || kill -KILL $$
"""
ABOUT = "Executable=/usr/bin/python3\nCodeDirectory v=20500 size=429 flags={} hashes=8+2 location=embedded\n"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line; its exit status, output and errors."""

    def call(*words: str) -> tuple[int, str, str]:
        status = cli.main(list(words))
        return status, *capsys.readouterr()

    return call


def write_program(path: Path, text: str, **names: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.format(**names))
    path.chmod(0o755)


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a virtual environment, a Python that is a script, tools and a log of what was run."""
    names = {"log": tmp_path / "log", "folder": tmp_path}
    write_program(tmp_path / "tools" / "codesign", CODESIGN, **names)
    write_program(tmp_path / "base" / "python3", PYTHON, **names)
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "status").write_text("0")
    (tmp_path / "entitlements").touch()
    monkeypatch.setenv("PATH", f"{tmp_path / 'tools'}:/usr/bin:/bin")
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "base"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "base" / "python3"))
    return tmp_path


def entitlements(name: str) -> dict[str, object]:
    values: dict[str, object] = plistlib.loads((resources.files("dynarec") / "entitlements" / name).read_bytes())
    return values


def sign(mac: Path, name: str) -> str:
    file = resources.files("dynarec") / "entitlements" / name
    return f"--force --options runtime --entitlements {file} -s - {mac}/venv/bin/python-jit"


def test_entitlements() -> None:
    """Python also loads libraries that others have signed, or nobody: its own, and dynarec."""
    plain = {ALLOW_JIT: True, LIBRARIES: True}
    assert entitlements(sign_python.PLAIN) == plain
    assert entitlements(sign_python.LISTED) == plain | {ALLOW_LIST: True, FREEZE_LATE: True}


@pytest.mark.parametrize(("words", "name"), [([], sign_python.PLAIN), (["--allowlist"], sign_python.LISTED)])
def test_makes_a_copy_that_starts(mac: Path, run: Run, words: list[str], name: str) -> None:
    copy = mac / "venv" / "bin" / "python-jit"
    copy.write_text("an old one")
    status, output, errors = run("sign-python", *words)
    assert (status, errors) == (0, "")
    assert str(copy) in output
    assert copy.read_bytes() == (mac / "base" / "python3").read_bytes()
    assert (mac / "log").read_text() == f"{sign(mac, name)}\n{copy} -c import dynarec.core\n"


@pytest.mark.parametrize(("words", "name"), [([], sign_python.PLAIN), (["--allowlist"], sign_python.LISTED)])
def test_dry_run_prints_the_commands(mac: Path, run: Run, words: list[str], name: str) -> None:
    status, output, errors = run("sign-python", "--dry-run", *words)
    copy = f"{mac}/venv/bin/python-jit"
    assert (status, errors) == (0, "")
    assert [shlex.split(line) for line in output.splitlines()] == [
        ["rm", "-f", copy],
        ["cp", f"{mac}/base/python3", copy],
        ["codesign", *sign(mac, name).split()],
        [copy, "-c", "import dynarec.core"],
    ]
    assert not (mac / "log").exists()
    assert not Path(copy).exists()


def test_dry_run_anywhere(run: Run) -> None:
    status, output, errors = run("sign-python", "--dry-run")
    assert (status, errors) == (0, "")
    assert "codesign --force --options runtime --entitlements " in output


def test_framework_python_is_copied_itself(mac: Path) -> None:
    program = mac / "base" / sign_python.FRAMEWORK_PYTHON
    program.parent.mkdir(parents=True)
    program.touch()
    assert sign_python.running_python() == program


def test_the_copy_is_what_runs(mac: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a framework build too: what is asked for its signature is the copy, and it cannot copy itself."""
    test_framework_python_is_copied_itself(mac)
    copy = mac / "venv" / "bin" / sign_python.COPY
    copy.touch()
    monkeypatch.setattr(sys, "executable", str(copy))
    assert sign_python.running_python() == copy
    failed(run("sign-python"), "cannot copy itself")
    assert copy.exists()


def failed(result: tuple[int, str, str], text: str) -> None:
    assert (result[0], result[1]) == (125, "")
    assert result[2].count("\n") == 1
    assert text in result[2]


@pytest.mark.parametrize(
    ("file", "text"), [("broken", "python-jit: codesign failed"), ("killed", "import dynarec.core': exit status -9")]
)
def test_what_fails_leaves_no_copy(mac: Path, run: Run, file: str, text: str) -> None:
    (mac / file).touch()
    failed(run("sign-python"), text)
    assert not (mac / "venv" / "bin" / "python-jit").exists()


def test_without_codesign(mac: Path, run: Run) -> None:
    (mac / "tools" / "codesign").unlink()
    failed(run("sign-python"), "xcode-select --install")


def test_other_system(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    failed(run("sign-python"), "sign-python is for macOS, and this is Linux: --dry-run")


def test_outside_of_a_virtual_environment(mac: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    failed(run("sign-python"), "python3 -m venv")


# -- the doctor


def set_signature(mac: Path, flags: str, names: dict[str, object]) -> None:
    (mac / "about").write_text(ABOUT.format(flags))
    (mac / "entitlements").write_bytes(plistlib.dumps(names) if names else b"")


def test_reads_a_signature(mac: Path) -> None:
    set_signature(mac, "0x10002(adhoc,runtime)", {ALLOW_LIST: True, ALLOW_JIT: True, FREEZE_LATE: False, "x": "text"})
    signature = read_signature("python3")
    assert signature == Signature(("adhoc", "runtime"), (ALLOW_JIT, ALLOW_LIST))
    assert signature.hardened
    assert (mac / "log").read_text() == "-d --verbose python3\n-d --entitlements - --xml python3\n"


def test_reads_a_signature_without_entitlements(mac: Path) -> None:
    set_signature(mac, "0x2(adhoc)", {})
    assert read_signature("python3") == Signature(("adhoc",))


def test_no_signature(mac: Path) -> None:
    (mac / "about").write_text("python3: code object is not signed at all\n")
    (mac / "status").write_text("1")
    assert read_signature("python3") == Signature(problem="not signed at all")
    (mac / "tools" / "codesign").unlink()
    assert "xcode-select --install" in str(read_signature("python3").problem)


@pytest.mark.parametrize(
    ("flags", "names", "text"),
    [
        (("runtime",), (), "this Python is hardened and may not run generated code"),
        (("runtime",), (ALLOW_JIT,), "nothing; for apple-callback"),
        (("adhoc",), (), "nothing; for apple-callback"),
        (("runtime",), (ALLOW_JIT, ALLOW_LIST), "this Python lets no callback of an extension write code"),
        (("runtime",), (ALLOW_JIT, ALLOW_LIST, FREEZE_LATE), "nothing"),
    ],
)
def test_advice(flags: tuple[str, ...], names: tuple[str, ...], text: str) -> None:
    assert advice(Signature(flags, names)).startswith(text)


def test_doctor_on_a_mac(mac: Path, run: Run) -> None:
    set_signature(mac, "0x10000(runtime)", {ALLOW_JIT: True})
    write_program(mac / "tools" / "sysctl", "#!/bin/sh\necho 128\n")
    _status, output, _errors = run("doctor")
    assert "cache lines of 128 bytes\n" in output
    assert "signature of this Python: runtime; with the Hardened Runtime\n" in output
    assert f"entitlements of this Python: {ALLOW_JIT}\n" in output
    assert "what to do: nothing; for apple-callback" in output


def test_doctor_elsewhere(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    _status, output, _errors = run("doctor")
    assert "signature of this Python" not in output
    assert "cache lines of" in output


def test_cache_line_is_a_power_of_two_or_unknown() -> None:
    line = doctor.cache_line()
    assert line is None or (line > 0 and line & (line - 1) == 0)
