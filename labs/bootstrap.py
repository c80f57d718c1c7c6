"""Makes the virtual environment `.venv` and installs what a requirements file asks for; at once where that is done already.

Run as a file, by the machine's own Python: `python3 labs/bootstrap.py requirements.txt`. So it uses the standard library
alone and nothing of this package. Does not install kind or kubectl (labs/tools.py does).
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"


class Stop(Exception):
    """Cannot go on; the text is one line that says what to do."""


def main(arguments: Sequence[str]) -> int:
    """Installs a requirements file. Exit code 1, and one line that says what to do, where that cannot be done."""
    try:
        ready(ROOT / arguments[0])
    except Stop as stop:
        print(stop, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. Run it again to go on.", file=sys.stderr)
        return 130
    return 0


def ready(requirements: Path) -> None:
    """Returns when `.venv` has what the file asks for. Stop where that fails."""
    stamp = VENV / f"installed-{requirements.name}"
    wanted = fingerprint(requirements)
    if stamp.exists() and stamp.read_text("utf-8") == wanted and runs("--version"):
        return
    if not runs("-m", "pip", "--version"):
        make_environment()
    print(f"Installing {requirements.name} into .venv (a minute or two, the first time).", flush=True)
    asked = ["install", "--requirement", str(requirements)]
    if not installed_from_wheels(asked) and pip(*asked).returncode != 0:
        raise Stop("pip could not install it. Is this machine online? PIP_INDEX_URL names a mirror of PyPI. Then run it again.")
    link_this_folder()
    quiet_jupyterlab()
    stamp.write_text(wanted, "utf-8")


def pip(*arguments: str, quiet: bool = False) -> "subprocess.CompletedProcess[str]":
    """Runs pip, in the environment. quiet: what it says is kept and not shown."""
    command = [str(python()), "-m", "pip", "--disable-pip-version-check", *arguments]
    if not sys.stdout.isatty():  # nobody watches the progress
        command.append("--quiet")
    return subprocess.run(command, capture_output=quiet, encoding="utf-8")


def wheels() -> Path:
    """Where packages are kept, so that this folder can be copied to a machine without network and installed there."""
    return ROOT / "wheels"


def keep_wheels(requirements: Path) -> None:
    """Fetches the packages that a requirements file asks for into wheels/, unless they are there. Stop where that fails."""
    stamp, wanted = wheels() / f"of-{requirements.name}", fingerprint(requirements)
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    print(f"Fetching the packages of {requirements.name} into {wheels().name}/.", flush=True)
    if pip("wheel", "--requirement", str(requirements), "--wheel-dir", str(wheels())).returncode != 0:
        raise Stop("pip could not fetch them. Is this machine online? PIP_INDEX_URL names a mirror of PyPI. Then run it again.")
    stamp.write_text(wanted, "utf-8")


def installed_from_wheels(asked: Sequence[str]) -> bool:
    """Installs from wheels/ alone, without network; False where they are not there, or are not all that is asked for."""
    return wheels().is_dir() and pip(*asked, "--no-index", "--find-links", str(wheels()), quiet=True).returncode == 0


def fingerprint(requirements: Path) -> str:
    """Changes when the file, a file it includes (`-r`), this module, the place of this folder, or the Python changes."""
    hashed = hashlib.sha256(f"{ROOT} {sys.version}".encode() + Path(__file__).read_bytes())
    files = [requirements]
    for file in files:
        text = file.read_text("utf-8")
        hashed.update(text.encode())
        files += [file.parent / line[3:].strip() for line in text.splitlines() if line.startswith("-r ")]
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
    """Makes `.venv` anew, with pip in it. Where Debian has left venv out, installs that first if we may. Stop if not."""
    if not has_venv():
        mend_debian(f"python{sys.version_info.major}.{sys.version_info.minor}-venv")
    print(f"Making the virtual environment .venv with Python {sys.version.split()[0]}.", flush=True)
    done = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, encoding="utf-8")
    if done.returncode != 0:
        said = " ".join((done.stdout + done.stderr).split())
        raise Stop(f"`{sys.executable} -m venv .venv` failed: {said}")


def has_venv() -> bool:
    """Whether this Python can make an environment with pip. Debian keeps `ensurepip` in a package of its own."""
    return all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))


def mend_debian(package: str) -> None:
    """Installs a package where we are root and have apt-get. Stop, with the command to type, elsewhere."""
    if not may_install():
        raise Stop(
            f"This Python has no venv ({sys.executable}). Type `sudo apt install {package}` (Debian, Ubuntu) and run it again."
        )
    print(f"This Python has no venv, and you are root: installing {package} with apt-get.", flush=True)
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
    asked = [str(python()), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    folder = subprocess.run(asked, capture_output=True, encoding="utf-8", check=True).stdout.strip()
    Path(folder, "kubernetes-ports-live.pth").write_text(f"{ROOT}\n", "utf-8")


def quiet_jupyterlab() -> None:
    """JupyterLab of this environment asks nobody about news and looks for no updates of itself: a lesson is open there."""
    settings = VENV / "share" / "jupyter" / "lab" / "settings"
    settings.mkdir(parents=True, exist_ok=True)
    wish = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
    (settings / "overrides.json").write_text(json.dumps(wish, indent=2), "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
