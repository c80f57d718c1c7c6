"""labs.bootstrap and the Makefile's part of it: the environment is made once, and what is missing is told in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labs import bootstrap
from labs.bootstrap import Stop

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with requirements of nothing, so that pip needs no network."""
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    (tmp_path / "requirements-dev.txt").write_text("-r requirements.txt\n")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    return tmp_path


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


def test_it_is_made_once_and_finds_labs_from_every_folder(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert bootstrap.main(["requirements.txt"]) == 0
    assert "Making the virtual environment" in capfd.readouterr().out
    monkeypatch.setattr(bootstrap, "make_environment", lambda: pytest.fail("it was made again"))
    assert bootstrap.main(["requirements.txt"]) == 0
    assert capfd.readouterr().out == "", "the second time there is nothing to say or to do"

    asked = [str(bootstrap.python()), "-c", "import sys; print(sys.path)"]
    assert str(clone) in subprocess.run(asked, cwd="/", capture_output=True, encoding="utf-8").stdout

    (clone / "requirements.txt").write_text("# another nothing\n")
    assert bootstrap.main(["requirements.txt"]) == 0
    assert "Installing requirements.txt" in capfd.readouterr().out


def test_one_that_was_left_half_made_is_made_anew(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").symlink_to("/nowhere/python")

    def stop() -> None:
        raise Stop("it is made anew")

    monkeypatch.setattr(bootstrap, "make_environment", stop)
    with pytest.raises(Stop, match="made anew"):
        bootstrap.ready(clone / "requirements.txt")


def test_a_failure_of_pip_is_told_and_not_taken_for_done(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    bootstrap.VENV.mkdir()
    monkeypatch.setattr(bootstrap, "python", lambda: Path(sys.executable))
    (clone / "requirements.txt").write_text("./no-such-package\n")
    for _ in range(2):
        assert bootstrap.main(["requirements.txt"]) == 1
        assert "PIP_INDEX_URL" in capfd.readouterr().err


def a_package(folder: Path) -> Path:
    """A package's source, which needs no network to be built: its build system is a module of its own."""
    source = folder / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text('[build-system]\nrequires = []\nbuild-backend = "builds"\nbackend-path = ["."]\n')
    (source / "builds.py").write_text(
        "import zipfile\n"
        "def build_wheel(folder, *_):\n"
        "    name, info = 'kept-1.0-py3-none-any.whl', 'kept-1.0.dist-info/'\n"
        "    with zipfile.ZipFile(f'{folder}/{name}', 'w') as wheel:\n"
        "        wheel.writestr('kept.py', 'HERE = True')\n"
        "        wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: kept\\nVersion: 1.0\\n')\n"
        "        wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
        "        wheel.writestr(info + 'RECORD', '')\n"
        "    return name\n"
    )
    return source


def test_packages_that_were_kept_are_installed_without_network(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Fault: no index can be reached, and the source that they were made of is gone."""
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    requirements = clone / "requirements.txt"
    bootstrap.ready(requirements)
    source = a_package(clone)
    requirements.write_text(f"kept @ {source.as_uri()}\n")
    bootstrap.keep_wheels(requirements)
    assert "Fetching the packages" in capfd.readouterr().out
    bootstrap.keep_wheels(requirements)
    assert capfd.readouterr().out == "", "they are not fetched again"

    requirements.write_text("kept>=1,<2\n")
    bootstrap.ready(requirements)
    assert bootstrap.runs("-c", "import kept")
    requirements.write_text("kept>=2\n")  # which is not among them
    with pytest.raises(Stop, match="PIP_INDEX_URL"):
        bootstrap.ready(requirements)
    with pytest.raises(Stop, match="PIP_INDEX_URL"):
        bootstrap.keep_wheels(requirements)


def test_the_fingerprint_follows_included_files_and_the_place(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dev = clone / "requirements-dev.txt"
    before = bootstrap.fingerprint(dev)
    assert bootstrap.fingerprint(dev) == before
    (clone / "requirements.txt").write_text("# changed\n")
    after = bootstrap.fingerprint(dev)
    assert after != before
    monkeypatch.setattr(bootstrap, "ROOT", clone / "moved")
    assert bootstrap.fingerprint(dev) != after


# --- Debian without python3-venv


def test_without_venv_an_ordinary_user_gets_one_line(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "has_venv", lambda: False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert bootstrap.main(["requirements.txt"]) == 1
    told = capsys.readouterr().err
    assert f"sudo apt install python{sys.version_info.major}.{sys.version_info.minor}-venv" in told
    assert len(told.splitlines()) == 1
    assert not bootstrap.VENV.exists()


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
    assert bootstrap.has_venv()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "ensurepip" else object())
    assert not bootstrap.has_venv()


# --- the Makefile


def make(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))}
    return subprocess.run(["make", *words], cwd=ROOT, env=kept | environment, capture_output=True, encoding="utf-8")


def test_make_alone_lists_every_target() -> None:
    told = make().stdout
    targets = ("lab", "test", "contract", "notebooks", "record", "lint", "bench", "prepare", "clean")
    assert all(f"make {target} " in told for target in targets)


def test_a_python_that_is_new_enough_is_found_behind_an_old_one(tmp_path: Path) -> None:
    for name, line in {"python3": "exit 1", "python3.12": f'exec "{sys.executable}" "$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    told = make("--dry-run", "venv", PATH=f"{tmp_path}:/nowhere:{Path('/usr/bin')}").stdout
    assert '"python3.12" labs/bootstrap.py requirements.txt' in told


def test_without_a_python_that_is_new_enough_one_line_says_so(tmp_path: Path) -> None:
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    done = make("lab", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr
    assert done.stdout == ""
