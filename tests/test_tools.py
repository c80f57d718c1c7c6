"""labs.tools: which kind and kubectl are taken, and downloads from a host of our own on 127.0.0.1."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from labs import home, tools, versions
from labs.errors import ToolMissing

KIND_PATH = f"/kubernetes-sigs/kind/releases/download/{versions.KIND}/kind-linux-amd64"
KUBECTL_PATH = f"/release/{versions.KUBECTL}/bin/linux/arm64/kubectl"
PROGRAM = bytes(range(256)) * 4096  # 1 MiB: several pieces


class Host:
    """A download host: the files it has, the requests it got, and how many bytes it sends before it cuts (None: all)."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.ranges: list[str] = []
        self.cut_after: int | None = None
        self.url = ""

    def publish(self, path: str, program: bytes = PROGRAM, sum_end: str = ".sha256sum", checksum: str = "") -> None:
        """Puts a program there, and its checksum beside it."""
        self.files[path] = program
        self.files[path + sum_end] = (checksum or hashlib.sha256(program).hexdigest()).encode() + b"  name\n"


@pytest.fixture
def host() -> Iterator[Host]:
    """A host that runs while the test does."""
    state = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            body = state.files.get(self.path)
            if body is None:
                self.send_error(404)
                return
            start = 0
            if wish := self.headers.get("Range"):
                state.ranges.append(wish)
                start = int(wish.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    self.send_error(416)
                    return
            self.send_response(206 if wish else 200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            stop = len(body) if state.cut_after is None else start + state.cut_after
            self.wfile.write(body[start:stop])

        def log_message(self, *_: object) -> None:
            """Nothing: the test looks at `asked`."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A Linux machine with an empty PATH (returned), a home of its own, and nothing in the environment."""
    for name in ("KIND_BIN", "KUBECTL_BIN", "KIND_NODE_IMAGE", "LABS_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "path"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("LABS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    be(monkeypatch, "Linux", "x86_64")
    return path


def be(monkeypatch: pytest.MonkeyPatch, system: str, processor: str) -> None:
    """Makes this machine look like another one."""
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: processor)


def program(folder: Path, name: str, says: str, code: int = 0) -> Path:
    """A program that prints a text whatever it is asked."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return path


def kind(folder: Path, version: str, name: str = "kind") -> Path:
    return program(folder, name, f"kind {version} go1.26.8 linux/amd64")


def kubectl(folder: Path, version: str) -> Path:
    return program(folder, "kubectl", f'{{"clientVersion": {{"gitVersion": "{version}"}}}}')


def kept() -> list[str]:
    """The files in the cache, locks and notes aside."""
    return sorted(file.name for file in home.cache().rglob("*") if file.is_file() and file.suffix not in (".lock", ".checked"))


# --- the one that is named


def test_the_named_one_comes_first(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind(machine, "v0.99.0")
    mine = kind(tmp_path, "v0.33.1-alpha+12", "my-kind")
    monkeypatch.setenv("KIND_BIN", str(mine))
    assert tools.found_where("kind") == tools.Found(mine, "KIND_BIN", "v0.33.1-alpha+12")
    assert tools.find("kind") == mine


@pytest.mark.parametrize("fault", ["missing", "not executable", "too old", "not kind", "fails"])
def test_a_wrong_named_one_is_told(fault: str, machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind(machine, "v0.33.0")  # a good one on PATH does not take its place in silence
    path = tmp_path / "mine"
    words = {
        "missing": "does not exist",
        "not executable": "is not an executable file",
        "too old": "kind v0.29.0 is older than v0.33.0",
        "not kind": "said: hello",
        "fails": "exit code 3",
    }
    if fault == "not executable":
        path.write_text("kind v0.33.0")
    elif fault == "too old":
        kind(tmp_path, "v0.29.0", "mine")
    elif fault == "not kind":
        program(tmp_path, "mine", "hello")
    elif fault == "fails":
        program(tmp_path, "mine", "kind v0.33.0 ", code=3)
    monkeypatch.setenv("KIND_BIN", str(path))
    with pytest.raises(ToolMissing) as caught:
        tools.find("kind")
    assert words[fault] in caught.value.why
    assert "unset KIND_BIN" in caught.value.try_this


def test_a_program_of_another_processor_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kind"
    path.write_bytes(b"\x7fELF no program for here")
    path.chmod(0o755)
    monkeypatch.setenv("KIND_BIN", str(path))
    with pytest.raises(ToolMissing, match="Exec format error"):
        tools.find("kind")


# --- the one on PATH


def test_one_on_path_is_taken_where_new_enough(machine: Path) -> None:
    assert tools.found_where("kind").where == "would be downloaded"
    path = kind(machine, "v0.34.0")
    assert tools.found_where("kind") == tools.Found(path, "PATH", "v0.34.0")


def test_one_on_path_that_is_too_old_is_passed_over_and_told(machine: Path) -> None:
    path = kind(machine, "v0.32.9")
    found = tools.found_where("kind")
    assert found.where == "would be downloaded"
    assert found.passed_over == f"{path}: kind v0.32.9 is older than v0.33.0, the tested one"


def test_one_on_path_that_does_not_run_is_passed_over_and_told(machine: Path) -> None:
    program(machine, "kubectl", "no", code=1)
    found = tools.found_where("kubectl")
    assert found.where == "would be downloaded"
    assert "exit code 1" in found.passed_over


@pytest.mark.parametrize(
    ("image", "version", "taken"),
    [
        ("", "v1.36.0", True),
        ("", "v1.37.9", True),
        ("", "v1.38.0-rc.1", True),
        ("", "v1.35.9", False),
        ("", "v1.39.0", False),
        ("kindest/node:v1.34.11@sha256:44e2", "v1.35.9", True),
        ("kindest/node:v1.34.11@sha256:44e2", "v1.36.0", False),
        ("here.example:5000/node:latest", "v1.37.0", True),
    ],
)
def test_kubectl_is_taken_within_one_minor_version_of_the_cluster(
    image: str, version: str, taken: bool, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if image:
        monkeypatch.setenv("KIND_NODE_IMAGE", image)
    kubectl(machine, version)
    assert (tools.found_where("kubectl").where == "PATH") is taken


@pytest.mark.parametrize(("version", "taken"), [("v1.30.9", False), ("v1.31.0", True), ("v1.38.0", True), ("v1.39.0", False)])
def test_an_older_kubectl_is_taken_for_a_cluster_that_takes_older_ones(version: str, taken: bool, machine: Path) -> None:
    kubectl(machine, version)
    assert (tools.found_where("kubectl", oldest=(1, 31)).where == "PATH") is taken


# --- the download


def test_a_download_is_whole_executable_and_made_once(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_MIRROR", host.url)
    host.publish(KIND_PATH)
    said: list[str] = []
    path = tools.find("kind", said.append)
    assert path.read_bytes() == PROGRAM
    assert path.stat().st_mode & 0o111 == 0o111
    assert path.name == "kind" and kept() == ["kind"]
    assert host.asked == [f"{KIND_PATH}.sha256sum", KIND_PATH]
    assert said[0] == f"Downloading kind v0.33.0 from {host.url}{KIND_PATH}"
    assert "  1 of 1 MB" in said
    assert tools.found_where("kind") == tools.Found(path, "cache", "v0.33.0")
    assert tools.find("kind", said.append) == path
    assert len(host.asked) == 2, "the second time nothing is asked of the network"


def test_kubectl_for_another_processor(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, "Linux", "aarch64")
    monkeypatch.setenv("LABS_MIRROR", host.url)
    host.publish(KUBECTL_PATH, sum_end=".sha256")
    assert tools.find("kubectl", lambda _: None).read_bytes() == PROGRAM


def test_a_wrong_checksum_leaves_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_MIRROR", host.url)
    host.publish(KIND_PATH, checksum="0" * 64)
    with pytest.raises(ToolMissing, match="the file was removed"):
        tools.find("kind", lambda _: None)
    assert kept() == []
    host.publish(KIND_PATH)
    assert tools.find("kind", lambda _: None).read_bytes() == PROGRAM


def test_no_checksum_means_no_program(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_MIRROR", host.url)
    host.publish(KIND_PATH, checksum="<html>please log in</html>")
    with pytest.raises(ToolMissing, match="holds no checksum"):
        tools.find("kind", lambda _: None)
    assert kept() == []


def test_a_cut_download_goes_on_where_it_stopped(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_MIRROR", host.url)
    host.publish(KIND_PATH)
    host.cut_after = 600_000
    with pytest.raises(ToolMissing, match="could not be downloaded"):
        tools.find("kind", lambda _: None)
    assert kept() == ["kind.part"]
    assert tools.found_where("kind").where == "would be downloaded"
    part = next(home.cache().rglob("kind.part")).stat().st_size
    assert 0 < part <= 600_000
    host.cut_after = None
    assert tools.find("kind", lambda _: None).read_bytes() == PROGRAM
    assert host.ranges == [f"bytes={part}-"]
    assert kept() == ["kind"]


def test_a_part_that_is_the_whole_is_checked_and_used(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_MIRROR", host.url)
    host.publish(KIND_PATH)
    path = tools.found_where("kind").path
    path.parent.mkdir()
    path.with_name("kind.part").write_bytes(PROGRAM)
    assert tools.find("kind", lambda _: None).read_bytes() == PROGRAM


def test_a_part_of_something_else_is_not_kept(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_MIRROR", host.url)
    host.publish(KIND_PATH)
    path = tools.found_where("kind").path
    path.parent.mkdir()
    path.with_name("kind.part").write_bytes(b"something else")
    with pytest.raises(ToolMissing, match="checksum"):
        tools.find("kind", lambda _: None)
    assert tools.find("kind", lambda _: None).read_bytes() == PROGRAM


def test_a_file_that_the_host_does_not_have(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_MIRROR", host.url)
    with pytest.raises(ToolMissing) as caught:
        tools.find("kind", lambda _: None)
    assert "404" in caught.value.why
    assert "LABS_MIRROR" in caught.value.try_this and "KIND_BIN" in caught.value.try_this


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(ToolMissing, match="could not be downloaded"):
        tools.find("kind", lambda _: None)


def test_two_at_once_download_once(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_MIRROR", host.url)
    host.publish(KIND_PATH)
    got: list[Path] = []
    pair = [threading.Thread(target=lambda: got.append(tools.find("kind", lambda _: None))) for _ in range(2)]
    for one in pair:
        one.start()
    for one in pair:
        one.join()
    assert [path.read_bytes() for path in got] == [PROGRAM, PROGRAM]
    assert host.asked.count(KIND_PATH) == 1


@pytest.mark.parametrize(("system", "processor"), [("Linux", "riscv64"), ("Windows", "AMD64"), ("Linux", "i686")])
def test_a_machine_without_a_download(system: str, processor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, system, processor)
    with pytest.raises(ToolMissing) as caught:
        tools.find("kind")
    assert f"{system} on {processor}" in caught.value.why
    assert "WSL2" in caught.value.try_this and "KIND_BIN" in caught.value.try_this


# --- addresses


def test_where_the_programs_are_published() -> None:
    kind_download = tools.published("kind", "darwin", "arm64")
    assert kind_download.url == "https://github.com/kubernetes-sigs/kind/releases/download/v0.33.0/kind-darwin-arm64"
    assert kind_download.sum_url == kind_download.url + ".sha256sum"
    kubectl_download = tools.published("kubectl", "linux", "amd64")
    assert kubectl_download.url == f"https://dl.k8s.io/release/{versions.KUBECTL}/bin/linux/amd64/kubectl"
    assert kubectl_download.sum_url == kubectl_download.url + ".sha256"


@pytest.mark.parametrize("mirror", ["mirror.example/k8s", "https://mirror.example/k8s/", " mirror.example/k8s "])
def test_a_mirror_takes_the_place_of_the_host(mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_MIRROR", mirror)
    url = tools.published("kubectl", "linux", "amd64").url
    assert url == f"https://mirror.example/k8s/release/{versions.KUBECTL}/bin/linux/amd64/kubectl"


@pytest.mark.parametrize(("text", "wanted"), [("v1.37.0", (1, 37)), ("0.33.0-alpha", (0, 33))])
def test_minor(text: str, wanted: tuple[int, int]) -> None:
    assert tools.minor(text) == wanted


def test_minor_of_what_is_no_version() -> None:
    with pytest.raises(ValueError, match="latest"):
        tools.minor("latest")
