"""Makes the virtual environment `.venv` and installs what a lock pins; at once where that is done already.

Run by the machine's own Python, at the top of the course: `python3 -m labs.bootstrap requirements.lock`. So it uses the
standard library alone, and of this package only labs/uv.py, which does too. uv installs; pip where uv cannot be had, or could
not do it. Does not install kind or kubectl (labs/tools.py does).
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from labs import uv

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
_OFFLINE = "Is this machine online? PIP_INDEX_URL names a mirror of PyPI. Then run it again."


class Stop(Exception):
    """Cannot go on; the text is one line that says what to do."""


def main(arguments: Sequence[str]) -> int:
    """Installs a lock. Exit code 1, and one line that says what to do, where that cannot be done."""
    try:
        ready(ROOT / arguments[0])
    except Stop as stop:
        print(stop, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. Run it again to go on.", file=sys.stderr)
        return 130
    return 0


def ready(lock: Path) -> None:
    """Returns when `.venv` has what the lock pins. Stop where that fails."""
    stamp = VENV / f"installed-{lock.name}"
    wanted = fingerprint(lock)
    if stamp.exists() and stamp.read_text("utf-8") == wanted and runs("--version"):
        return
    if not runs("--version"):
        make_environment()
    if not (installed_from_wheels(lock) or installed_by_uv(lock) or installed_by_pip(lock)):
        raise Stop(f"pip could not install it. {_OFFLINE}")
    link_this_folder()
    quiet_jupyterlab()
    stamp.write_text(wanted, "utf-8")


# --- installing


def wheels() -> Path:
    """Where packages are kept, so that this folder can be copied to a machine without network and installed there."""
    return ROOT / "wheels"


def installed_from_wheels(lock: Path) -> bool:
    """Installs from wheels/ alone, without network; False where they are not there, or are not all that is asked for.

    Without the lock's hashes, which were checked when the packages were fetched: one that was built here has another.
    """
    if not wheels().is_dir():
        return False
    program = uv.on_path() or uv.kept(VENV / "uv", wheels())
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder, lock.name)
        pins.write_text(without_hashes(lock.read_text("utf-8")), "utf-8")
        asked = ["install", "--no-index", "--find-links", str(wheels()), "--requirement", str(pins)]
        print(f"Installing {lock.name} from {wheels().name}/ into .venv.", flush=True)
        if run_uv(program, [*asked, "--offline"], quiet=True) if program else run_pip(asked, quiet=True):
            return True
    print(f"{wheels().name}/ does not have all of it.", flush=True)
    return False


def installed_by_uv(lock: Path) -> bool:
    """Installs by uv: the one on PATH, or one that pip brings. False where there is none, or where it fails."""
    program = uv.on_path() or uv.kept(VENV / "uv", wheels())
    if program is None:
        print("Fetching uv, which installs the packages.", flush=True)
        try:
            program = uv.bring(VENV / "uv", pip_here() or give_pip())
        except uv.NotHad as not_had:
            print(f"uv cannot be had here ({not_had}): pip installs, which takes a minute or two.", flush=True)
            return False
    print(f"Installing {lock.name} into .venv.", flush=True)
    if run_uv(program, ["install", "--require-hashes", "--requirement", str(lock)]):
        return True
    print("uv could not install it: pip tries, which takes a minute or two.", flush=True)
    return False


def installed_by_pip(lock: Path) -> bool:
    """Installs by the environment's own pip; False where that fails."""
    return run_pip(["install", "--require-hashes", "--requirement", str(lock)])


def run_uv(program: Path, arguments: Sequence[str], quiet: bool = False) -> bool:
    """Runs `uv pip` for the environment; whether it succeeded. quiet: what it says is kept and not shown."""
    command, *options = arguments
    return uv.run(program, ["pip", command, f"--python={python()}", *options], pip_here(), quiet).returncode == 0


def run_pip(arguments: Sequence[str], quiet: bool = False) -> bool:
    """Runs pip, in the environment; whether it succeeded. quiet: what it says is kept and not shown."""
    command = [*give_pip(), "--disable-pip-version-check", *arguments]
    if not sys.stdout.isatty():  # nobody watches the progress
        command.append("--quiet")
    return subprocess.run(command, capture_output=quiet, encoding="utf-8").returncode == 0


def pip_here() -> list[str]:
    """A pip that is here: this Python's, else the environment's, else none."""
    if has("pip"):
        return [sys.executable, "-m", "pip"]
    return [str(python()), "-m", "pip"] if runs("-m", "pip", "--version") else []


def give_pip() -> list[str]:
    """The environment's pip, made where there is none. Debian keeps `ensurepip` in a package of its own. Stop if not."""
    if not runs("-m", "pip", "--version"):
        if not has("ensurepip"):
            mend_debian(f"python{sys.version_info.major}.{sys.version_info.minor}-venv")
        _checked([str(python()), "-m", "ensurepip"])
    return [str(python()), "-m", "pip"]


def without_hashes(lock: str) -> str:
    """The pins of a lock, without their hashes."""
    return re.sub(r" \\\n +--hash=\S+", "", lock)


def keep_wheels(lock: Path) -> None:
    """Fetches the packages that a lock pins into wheels/, and uv, unless they are there. Stop where that fails."""
    stamp, wanted = wheels() / f"of-{lock.name}", fingerprint(lock)
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    print(f"Fetching the packages of {lock.name} into {wheels().name}/.", flush=True)
    if not run_pip(["wheel", "--require-hashes", "--requirement", str(lock), "--wheel-dir", str(wheels())]):
        raise Stop(f"pip could not fetch them. {_OFFLINE}")
    with suppress(uv.NotHad):  # then pip installs them
        uv.fetch(wheels(), give_pip())
    stamp.write_text(wanted, "utf-8")


# --- the environment


def fingerprint(lock: Path) -> str:
    """Changes when the lock, the lock of uv, what installs them, the place of this folder, or the Python changes."""
    hashed = hashlib.sha256(f"{ROOT} {sys.version}".encode())
    for file in (lock, uv.LOCK, Path(__file__), Path(uv.__file__)):
        hashed.update(file.read_bytes())
    return hashed.hexdigest()


def python() -> Path:
    """The environment's Python."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def runs(*arguments: str) -> bool:
    """Whether the environment's Python runs this."""
    try:
        return subprocess.run([str(python()), *arguments], capture_output=True).returncode == 0
    except OSError:
        return False


def make_environment() -> None:
    """Makes `.venv` anew, without pip. Where Debian has left venv out, installs that first if we may. Stop if not."""
    if not has("venv"):
        mend_debian(f"python{sys.version_info.major}.{sys.version_info.minor}-venv")
    print(f"Making the virtual environment .venv with Python {sys.version.split()[0]}.", flush=True)
    _checked([sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)])


def has(module: str) -> bool:
    """Whether this Python has a module."""
    return importlib.util.find_spec(module) is not None


def _checked(command: Sequence[str]) -> None:
    """Runs a command whose words matter only where it fails. Stop then."""
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    if done.returncode != 0:
        raise Stop(f"`{' '.join(command)}` failed: {' '.join((done.stdout + done.stderr).split())}")


def mend_debian(package: str) -> None:
    """Installs a package where we are root and have apt-get. Stop, with the command to type, elsewhere."""
    if not may_install():
        raise Stop(
            f"This Python has not all of venv ({sys.executable}). Type `sudo apt install {package}` (Debian, Ubuntu) "
            "and run it again."
        )
    print(f"This Python has not all of venv, and you are root: installing {package} with apt-get.", flush=True)
    failed = install([package])
    if failed:
        raise Stop(failed)


def may_install() -> bool:
    """Whether this is a Debian or Ubuntu where we may install packages: there is apt-get, and we are root."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(packages: Sequence[str]) -> str:
    """Installs Debian packages; what went wrong, or ""."""
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "--yes", "--quiet", *packages]
    for each in (command, ["apt-get", "update", "--quiet"], command):  # the lists of packages may be old, or missing
        done = subprocess.run(each, env=quiet, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8")
        if each is command and done.returncode == 0:
            return ""
    return f"`{' '.join(command)}` failed: {' '.join(done.stderr.split())}"


def link_this_folder() -> None:
    """Makes `import labs` work in every folder, for this environment's Python: kernels, terminals, `python -m labs`."""
    pth_file("kubernetes-ports-live").write_text(f"{ROOT}\n", "utf-8")


def pth_file(name: str) -> Path:
    """A file whose lines this environment's Python takes as folders to import from."""
    asked = [str(python()), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    folder = subprocess.run(asked, capture_output=True, encoding="utf-8", check=True).stdout.strip()
    return Path(folder, f"{name}.pth")


def quiet_jupyterlab() -> None:
    """JupyterLab of this environment asks nobody about news and looks for no updates of itself: a lesson is open there."""
    settings = VENV / "share" / "jupyter" / "lab" / "settings"
    settings.mkdir(parents=True, exist_ok=True)
    wish = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
    (settings / "overrides.json").write_text(json.dumps(wish, indent=2), "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
