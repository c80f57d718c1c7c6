"""labs.uv: which uv is taken, and that it asks where pip was told to ask. The index is a server of this machine."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from labs import uv
from tests.wheels import kept_wheel, locked, real_uv, write_wheel

PIP = [sys.executable, "-m", "pip"]
MIRROR, OTHER = "https://mirror.example/simple", "https://other.example/simple"
BEST = "unsafe-best-match"


@pytest.mark.parametrize(
    ("words", "is_version"),
    [
        ("uv 0.11.0 (Homebrew 2026-01-01)", (0, 11, 0)),
        ("uv 1.2.3", (1, 2, 3)),
        ("pyuv 1.2.3", ()),
        ("", ()),
    ],
)
def test_version(words: str, is_version: tuple[int, ...]) -> None:
    assert uv.version(words) == is_version


def test_the_lock_says_which_uv_is_brought_and_it_would_do_on_path_too() -> None:
    assert uv.version(f"uv {uv.pinned(uv.LOCK.read_text('utf-8'))}") >= uv.OLDEST
    with pytest.raises(ValueError, match="pins no uv"):
        uv.pinned("ruff==1.0\n")


def test_a_setting_of_pip_wins_over_those_for_more() -> None:
    listed = (
        ":env:.cert='/c'\n"
        "global.cert='/a'\n"
        "global.index-url='https://mirror.example/simple'\n"
        "global.trusted-host='\\nmirror.example\\nother.example'\n"
        "install.cert='/b'\n"
        "download.index-url='https://nobody.example'\n"
    )
    assert uv.pip_settings(listed) == {
        "cert": "/c",
        "index-url": MIRROR,
        "trusted-host": "\nmirror.example\nother.example",
    }


@pytest.mark.parametrize(
    ("settings", "before", "added"),
    [
        ({}, {}, {}),
        ({"index-url": MIRROR}, {}, {"UV_DEFAULT_INDEX": MIRROR}),
        ({"index-url": MIRROR}, {"UV_DEFAULT_INDEX": OTHER}, {}),
        ({"index-url": MIRROR}, {"UV_INDEX_URL": OTHER}, {}),
        ({"extra-index-url": f"{MIRROR}\n{OTHER}"}, {}, {"UV_INDEX": f"{MIRROR} {OTHER}", "UV_INDEX_STRATEGY": BEST}),
        ({"extra-index-url": MIRROR}, {"UV_EXTRA_INDEX_URL": OTHER}, {}),
        ({"trusted-host": "\na.example\nb.example:80"}, {}, {"UV_INSECURE_HOST": "a.example b.example:80"}),
        ({"find-links": f"/nowhere/at/all {OTHER} /"}, {}, {"UV_FIND_LINKS": f"{OTHER},/"}),
        ({"find-links": "/nowhere/at/all"}, {}, {}),
        ({"cert": "/ca.pem"}, {}, {"SSL_CERT_FILE": "/ca.pem"}),
        ({"cert": "/ca.pem"}, {"SSL_CERT_FILE": "/mine.pem"}, {}),
        ({"default-timeout": "100"}, {}, {"UV_HTTP_TIMEOUT": "100"}),
        ({"proxy": "http://p.example:3128"}, {}, {"HTTP_PROXY": "http://p.example:3128", "HTTPS_PROXY": "http://p.example:3128"}),
        ({"no-color": "1"}, {}, {}),
    ],
)
def test_what_pip_is_told_is_told_to_uv(settings: dict[str, str], before: dict[str, str], added: dict[str, str]) -> None:
    assert uv.environment(settings, before, system_certificates=False) == added


def test_the_machines_own_certificates_are_trusted_unless_others_are_named() -> None:
    assert uv.environment({}, {}, system_certificates=True) == {"UV_SYSTEM_CERTS": "true"}
    assert "UV_SYSTEM_CERTS" not in uv.environment({"cert": "/ca.pem"}, {}, system_certificates=True)
    assert "UV_SYSTEM_CERTS" not in uv.environment({}, {"SSL_CERT_FILE": "/ca.pem"}, system_certificates=True)


@pytest.mark.parametrize(("says", "taken"), [("uv 0.11.0", True), ("uv 0.10.9", False), ("something else", False)])
def test_the_uv_on_path_is_taken_if_it_is_new_enough(
    says: str, taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "uv"
    program.write_text(f"#!/bin/sh\necho {says}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert uv.on_path() == (program if taken else None)


def test_a_wheel_for_another_machine_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "wheels" / "uv-1.0-py3-none-any.whl"
    write_wheel(wheel, "uv", "1.0", {"uv-1.0.data/scripts/uv": "\x7fELF of another processor"})
    monkeypatch.setattr(uv, "LOCK", tmp_path / "lock")
    uv.LOCK.write_text(locked("uv", "1.0", wheel))
    assert uv.kept(tmp_path / "here", wheel.parent) is None
    assert not list((tmp_path / "here" / "1.0").iterdir())


def test_a_wheel_that_the_lock_does_not_name_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "wheels" / "uv-1.0-py3-none-any.whl"
    script = f"#!/bin/sh\necho ran >> {tmp_path}/ran\necho uv 1.0.0\n"
    write_wheel(wheel, "uv", "1.0", {"uv-1.0.data/scripts/uv": script})
    monkeypatch.setattr(uv, "LOCK", tmp_path / "lock")
    uv.LOCK.write_text(locked("uv", "1.0", wheel))
    with wheel.open("ab") as file:
        file.write(b" ")
    assert uv.kept(tmp_path / "here", wheel.parent) is None
    assert not (tmp_path / "ran").exists()
    uv.LOCK.write_text(locked("uv", "1.0", wheel))
    assert uv.kept(tmp_path / "here", wheel.parent) == tmp_path / "here" / "1.0" / "uv"


# --- a mirror


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """An index of this machine, with a package `kept`; its address."""
    pages = tmp_path / "mirror"
    wheel = kept_wheel(pages)
    (pages / "simple" / "kept").mkdir(parents=True)
    (pages / "simple" / "kept" / "index.html").write_text(f'<a href="/{wheel.name}">{wheel.name}</a>')
    (tmp_path / "lock").write_text(locked("kept", "1.0", wheel))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(pages))) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip's own file of settings, which is empty yet; nothing else says where packages are."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    return tmp_path / "pip.conf"


@pytest.mark.parametrize("place", ["a file", "the environment", "the environment, without a pip", "an extra index"])
def test_uv_installs_from_the_mirror_that_pip_is_told(
    place: str, mirror: str, nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "a file":
        nowhere.write_text(f"[global]\nindex-url = {mirror}\ntrusted-host = 127.0.0.1\n")
    elif place == "an extra index":
        nowhere.write_text(f"[global]\nindex-url = {mirror}/empty\nextra-index-url = {mirror}\n")
    else:
        monkeypatch.setenv("PIP_INDEX_URL", mirror)
    asked = ["pip", "install", "--require-hashes", f"--requirement={tmp_path / 'lock'}", f"--target={tmp_path / 'there'}"]
    done = uv.run(real_uv(), [*asked, f"--python={sys.executable}"], [] if "without" in place else PIP, quiet=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "there" / "kept.py").exists()


def test_pip_is_asked_in_its_own_words(nowhere: Path) -> None:
    """Fault: a pip that lists its settings in another way."""
    nowhere.write_text(f"[global]\nindex-url = {MIRROR}\n[install]\nfind-links =\n  /a\n  /b\n")
    listed = subprocess.run([*PIP, "config", "list"], capture_output=True, encoding="utf-8").stdout
    settings = uv.pip_settings(listed)
    assert (settings["index-url"], settings["find-links"].split()) == (MIRROR, ["/a", "/b"])
