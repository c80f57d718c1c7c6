"""Packages that tests make, as wheels and as source, and the uv that is here. Installs nothing."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from labs import bootstrap, uv

_UV = uv.on_path() or uv.kept(bootstrap.VENV / "uv", bootstrap.wheels())  # before a test puts another in its place


def real_uv() -> Path:
    """The uv that installs the course here."""
    if _UV is None:
        pytest.skip("there is no uv here: pip has installed the course")
    return _UV


def write_wheel(wheel: Path, name: str, version: str, files: dict[str, str]) -> None:
    """A wheel without dependencies that any Python takes."""
    wheel.parent.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


def locked(name: str, version: str, wheel: Path) -> str:
    """The lines of a lock for a package that is one file."""
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def kept_wheel(folder: Path) -> Path:
    """The wheel of a package `kept`, version 1.0."""
    wheel = folder / "kept-1.0-py3-none-any.whl"
    write_wheel(wheel, "kept", "1.0", {"kept.py": "HERE = True"})
    return wheel


def source_of_kept(folder: Path) -> Path:
    """The source of a package `kept`, which needs no network to be built: its build system is a module of its own."""
    top, files = "kept-1.0", {}
    files["PKG-INFO"] = "Metadata-Version: 2.1\nName: kept\nVersion: 1.0\n"
    files["pyproject.toml"] = '[build-system]\nrequires = []\nbuild-backend = "builds"\nbackend-path = ["."]\n'
    files["builds.py"] = (
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
    folder.mkdir()
    with tarfile.open(folder / "kept-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"{top}/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return folder / "kept-1.0.tar.gz"
