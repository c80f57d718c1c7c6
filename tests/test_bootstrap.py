"""labs.bootstrap and the Makefile's part of it: the environment is made once, by uv or else by pip, and what is missing is
told in one line. Nothing is fetched from the network."""

import os
import subprocess
import sys
from pathlib import Path

import pip
import pytest

from labs import bootstrap, uv
from labs.bootstrap import Stop
from tests.wheels import kept_wheel, locked, real_uv, source_of_kept, write_wheel

ROOT = Path(__file__).resolve().parents[1]
VERSION = "99.0.1"  # of a uv that is a shell script
CHECKED = bootstrap._checked


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a lock of nothing. There is no uv, and no index can be reached; the machine's pip has no settings."""
    (tmp_path / "requirements.lock").write_text("# nothing\n")
    (tmp_path / "requirements-uv.lock").write_text(f"uv=={VERSION} \\\n    --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(uv, "LOCK", tmp_path / "requirements-uv.lock")
    monkeypatch.setattr(uv, "on_path", lambda: None)
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setattr(bootstrap, "_checked", lambda command: lend_pip() if command[-1] == "ensurepip" else CHECKED(command))
    return tmp_path


def lend_pip() -> None:
    """Gives the environment the pip of the one that runs the tests: ensurepip takes seconds."""
    folder = bootstrap.ROOT / "lent"
    folder.mkdir()
    (folder / "pip").symlink_to(Path(pip.__file__).parent)
    bootstrap.pth_file("lent").write_text(f"{folder}\n")


def uv_wheel(folder: Path, script: str) -> Path:
    """The wheel of a uv that is a shell script, with its hash in the lock."""
    wheel = folder / f"uv-{VERSION}-py3-none-any.whl"
    lines = f'#!/bin/sh\n[ "$1" = --version ] && echo "uv {VERSION} (a test)" && exit 0\n{script}\n'
    write_wheel(wheel, "uv", VERSION, {f"uv-{VERSION}.data/scripts/uv": lines})
    uv.LOCK.write_text(locked("uv", VERSION, wheel))
    return wheel


def fake_apt(folder: Path, monkeypatch: pytest.MonkeyPatch, fails_first: bool = False, fails: bool = False) -> Path:
    """An apt-get on PATH that notes how it was called; returns its notes."""
    notes, first = folder / "notes", "install"
    fault = f'[ "$1" = {first} ] && [ ! -e "{folder}/updated" ] && exit 100' if fails_first else "true"
    (folder / "apt-get").write_text(
        f'#!/bin/sh\necho "$@" >> "{notes}"\n{fault}\n[ "$1" = update ] && : > "{folder}/updated"\n'
        + ("echo 'E: no such package' >&2; exit 100\n" if fails else "exit 0\n")
    )
    (folder / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return notes


# --- the environment


def test_it_is_made_once_and_finds_labs_from_every_folder(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    uv_wheel(clone / "wheels", "exit 0")
    assert bootstrap.main(["requirements.lock"]) == 0
    assert "Making the virtual environment" in capfd.readouterr().out
    monkeypatch.setattr(bootstrap, "make_environment", lambda: pytest.fail("it was made again"))
    assert bootstrap.main(["requirements.lock"]) == 0
    assert capfd.readouterr().out == "", "the second time there is nothing to say or to do"

    asked = [str(bootstrap.python()), "-c", "import sys; print(sys.path)"]
    assert str(clone) in subprocess.run(asked, cwd="/", capture_output=True, encoding="utf-8").stdout

    (clone / "requirements.lock").write_text("# another nothing\n")
    assert bootstrap.main(["requirements.lock"]) == 0
    assert "Installing requirements.lock" in capfd.readouterr().out


def test_one_that_was_left_half_made_is_made_anew(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").symlink_to("/nowhere/python")

    def stop() -> None:
        raise Stop("it is made anew")

    monkeypatch.setattr(bootstrap, "make_environment", stop)
    with pytest.raises(Stop, match="made anew"):
        bootstrap.ready(clone / "requirements.lock")


@pytest.mark.parametrize("changed", ["requirements.lock", "requirements-uv.lock"])
def test_the_fingerprint_follows_the_locks_and_the_place(changed: str, clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = clone / "requirements.lock"
    before = bootstrap.fingerprint(lock)
    assert bootstrap.fingerprint(lock) == before
    (clone / changed).write_text("# changed\n")
    after = bootstrap.fingerprint(lock)
    assert after != before
    monkeypatch.setattr(bootstrap, "ROOT", clone / "moved")
    assert bootstrap.fingerprint(lock) != after


# --- who installs


def test_uv_installs_with_hashes_and_needs_no_pip(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the real uv, in an environment without pip, from a folder."""
    program = real_uv()
    monkeypatch.setattr(uv, "on_path", lambda: program)
    monkeypatch.setattr(bootstrap, "give_pip", lambda: pytest.fail("pip was made"))
    wheel = kept_wheel(clone / "here")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    lock = clone / "requirements.lock"
    lock.write_text(locked("kept", "1.0", wheel))
    bootstrap.ready(lock)
    assert bootstrap.runs("-c", "import kept")
    assert not bootstrap.runs("-c", "import pip")


def test_a_package_with_another_hash_is_installed_by_nobody(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program = real_uv()
    monkeypatch.setattr(uv, "on_path", lambda: program)
    wheel = kept_wheel(clone / "here")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    lock = clone / "requirements.lock"
    lock.write_text(locked("kept", "1.0", wheel))
    write_wheel(wheel, "kept", "1.0", {"kept.py": "HERE = 'another'"})
    assert bootstrap.main(["requirements.lock"]) == 1
    told = capfd.readouterr()
    assert "uv could not install it: pip tries" in told.out
    assert "ash mismatch" in told.err  # uv's words
    assert "DO NOT MATCH THE HASHES" in told.err  # pip's
    assert not bootstrap.runs("-c", "import kept")


def test_uv_is_brought_by_pip_into_a_place_of_its_own(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = uv_wheel(clone / "here", f'echo "$@" >> "{clone}/asked"')
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    lock = clone / "requirements.lock"
    bootstrap.ready(lock)
    assert f"pip install --python={bootstrap.python()} --require-hashes" in (clone / "asked").read_text()
    assert (clone / ".venv" / "uv" / VERSION / "uv").exists()
    assert not bootstrap.runs("-c", "import uv"), "the course's environment has no uv"

    wheel.unlink()
    lock.write_text("# another nothing\n")
    bootstrap.ready(lock)
    assert len((clone / "asked").read_text().splitlines()) == 2, "it is not fetched again"


@pytest.mark.parametrize("fault", ["none to be had", "another file", "fails"])
def test_where_uv_cannot_do_it_pip_installs_and_one_line_says_so(
    fault: str, clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if fault == "none to be had":
        monkeypatch.setattr(bootstrap, "_checked", CHECKED)
    wheel = kept_wheel(clone / "here")
    (clone / "requirements.lock").write_text(locked("kept", "1.0", wheel))
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    if fault != "none to be had":
        uv_wheel(wheel.parent, "exit 1")
    if fault == "another file":
        uv.LOCK.write_text(uv.LOCK.read_text().replace("sha256:", "sha256:0")[:-2])
    assert bootstrap.main(["requirements.lock"]) == 0
    told = capfd.readouterr().out
    assert ("uv could not install it: pip" if fault == "fails" else "uv cannot be had here (") in told
    assert len([line for line in told.splitlines() if "pip" in line]) == 1
    assert bootstrap.runs("-c", "import kept")


def test_a_failure_of_pip_is_told_and_not_taken_for_done(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    bootstrap.VENV.mkdir()
    monkeypatch.setattr(bootstrap, "python", lambda: Path(sys.executable))
    (clone / "requirements.lock").write_text("./no-such-package\n")
    for _ in range(2):
        assert bootstrap.main(["requirements.lock"]) == 1
        assert "PIP_INDEX_URL" in capfd.readouterr().err


# --- without network


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_packages_that_were_kept_are_installed_without_network(
    installer: str, clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Fault: no index can be reached, and the source that they were built of is gone; a built one has another hash."""
    source, lock = source_of_kept(clone / "here"), clone / "requirements.lock"
    lock.write_text(locked("kept", "1.0", source))
    with monkeypatch.context() as online:
        online.setenv("PIP_FIND_LINKS", str(source.parent))
        online.setenv("PIP_NO_INDEX", "1")
        bootstrap.make_environment()
        bootstrap.keep_wheels(lock)
        assert "Fetching the packages" in capfd.readouterr().out
        bootstrap.keep_wheels(lock)
        assert capfd.readouterr().out == "", "they are not fetched again"
    source.unlink()
    if installer == "uv":
        program = real_uv()
        monkeypatch.setattr(uv, "on_path", lambda: program)
    monkeypatch.setattr(uv, "bring", lambda *_: pytest.fail("uv was to be fetched"))
    bootstrap.ready(lock)
    assert bootstrap.runs("-c", "import kept")


def test_wheels_that_are_not_all_that_is_asked_for_do_not_end_it(clone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kept_wheel(bootstrap.wheels())
    uv_wheel(bootstrap.wheels(), "exit 1")
    lock = clone / "requirements.lock"
    lock.write_text(f"kept==2.0 --hash=sha256:{'0' * 64}\n")
    assert bootstrap.main(["requirements.lock"]) == 1
    assert "wheels/ does not have all of it." in capfd.readouterr().out
    with pytest.raises(Stop, match="PIP_INDEX_URL"):
        bootstrap.keep_wheels(lock)


def test_uv_is_kept_too_and_taken_from_there(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: no index can be reached, and this Python has no pip."""
    wheel, lock = uv_wheel(clone / "here", f'echo "$@" >> "{clone}/asked"'), clone / "requirements.lock"
    with monkeypatch.context() as online:
        online.setenv("PIP_FIND_LINKS", str(wheel.parent))
        online.setenv("PIP_NO_INDEX", "1")
        bootstrap.make_environment()
        bootstrap.keep_wheels(lock)
    assert (bootstrap.wheels() / wheel.name).exists()
    wheel.unlink()
    monkeypatch.setattr(bootstrap, "has", lambda module: module == "venv")
    bootstrap.make_environment()
    bootstrap.ready(lock)
    (told,) = (clone / "asked").read_text().splitlines()
    assert f"--no-index --find-links {bootstrap.wheels()}" in told
    assert "--offline" in told
    assert not bootstrap.runs("-m", "pip", "--version")


# --- Debian without python3-venv


@pytest.mark.parametrize("missing", ["venv", "ensurepip"])
def test_without_venv_or_a_pip_for_it_an_ordinary_user_gets_one_line(
    missing: str, clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "has", lambda module: module not in (missing, "pip"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert bootstrap.main(["requirements.lock"]) == 1
    told = capsys.readouterr().err
    assert f"sudo apt install python{sys.version_info.major}.{sys.version_info.minor}-venv" in told
    assert len(told.splitlines()) == 1
    assert bootstrap.VENV.exists() == (missing == "ensurepip")


@pytest.mark.parametrize("stale_lists", [False, True])
def test_root_installs_it_and_says_so(
    stale_lists: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = fake_apt(tmp_path, monkeypatch, fails_first=stale_lists)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    bootstrap.mend_debian("python3.11-venv")
    assert "installing python3.11-venv with apt-get" in capsys.readouterr().out
    install = "install --yes --quiet python3.11-venv"
    wanted = [install, "update --quiet", install] if stale_lists else [install]
    assert notes.read_text().splitlines() == wanted


def test_apt_that_fails_is_told_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_apt(tmp_path, monkeypatch, fails=True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(Stop, match="E: no such package"):
        bootstrap.mend_debian("python3.11-venv")


def test_a_python_without_ensurepip_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bootstrap.has("ensurepip")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "ensurepip" else object())
    assert not bootstrap.has("ensurepip")


# --- the Makefile


def make(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))}
    return subprocess.run(["make", *words], cwd=ROOT, env=kept | environment, capture_output=True, encoding="utf-8")


def test_make_alone_lists_every_target() -> None:
    told = make().stdout
    targets = ("lab", "test", "contract", "notebooks", "record", "lint", "lock", "bench", "prepare", "clean")
    assert all(f"make {target} " in told for target in targets)


def test_a_python_that_is_new_enough_is_found_behind_an_old_one(tmp_path: Path) -> None:
    for name, line in {"python3": "exit 1", "python3.12": f'exec "{sys.executable}" "$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    told = make("--dry-run", "venv", PATH=f"{tmp_path}:/nowhere:{Path('/usr/bin')}").stdout
    assert '"python3.12" -m labs.bootstrap requirements.lock' in told


def test_without_a_python_that_is_new_enough_one_line_says_so(tmp_path: Path) -> None:
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    done = make("lab", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr
    assert done.stdout == ""
