"""labs.launch: where JupyterLab is shown, with which options, and what a shell of the course gets. Starts no JupyterLab."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from labs import home, launch
from labs.launch import Surroundings, advice, course_environment, jupyter_options, port_of, shell_lines, surroundings

DESKTOP = Surroundings("", root=False, opens=True)
COURSE = Path("/clone/course")


def around(environment: Mapping[str, str], system: str = "Linux", release: str = "6", container: bool = False) -> Surroundings:
    return surroundings(environment, system, release, container, root=False)


@pytest.mark.parametrize(
    ("seen", "place", "opens"),
    [
        (around({"DISPLAY": ":0"}), "", True),
        (around({"WAYLAND_DISPLAY": "wayland-0"}), "", True),
        (around({}), "", False),
        (around({}, "Darwin"), "", True),
        (around({"DISPLAY": ":0"}, release="5.15.167.4-microsoft-standard-WSL2"), "WSL", False),
        (around({"REMOTE_CONTAINERS": "true"}, container=True), "devcontainer", False),
        (around({"CODESPACES": "true", "CODESPACE_NAME": "fun"}, container=True), "Codespaces", False),
        (around({}, container=True), "container", False),
        (around({"SSH_CONNECTION": "10.0.0.1 22", "DISPLAY": "localhost:10.0"}), "ssh", False),
    ],
)
def test_where_we_are(seen: Surroundings, place: str, opens: bool) -> None:
    assert (seen.place, seen.opens) == (place, opens)


@pytest.mark.parametrize("place", ["WSL", "Codespaces", "devcontainer", "container", "ssh", ""])
def test_where_no_browser_opens_the_learner_is_told_how(place: str) -> None:
    seen = Surroundings(place, root=False, opens=False)
    assert "URL" in advice(seen, 8899)
    assert "--no-browser" in jupyter_options(seen, [], COURSE, ["bash"])


def test_where_a_browser_opens_nothing_is_to_be_said() -> None:
    assert advice(DESKTOP, 8888) == ""
    assert "--no-browser" not in jupyter_options(DESKTOP, [], COURSE, ["bash"])


def test_the_port_is_in_the_advice() -> None:
    assert "ssh -L 8899:127.0.0.1:8899" in advice(Surroundings("ssh", False, False), 8899)
    assert "127.0.0.1:8899:8899" in advice(Surroundings("container", False, False), 8899)


@pytest.mark.parametrize(
    ("arguments", "port"),
    [
        ([], 8888),
        (["--no-browser", "--port", "8899"], 8899),
        (["--port=8899"], 8899),
        (["--ServerApp.port=9000"], 9000),
        (["--port"], 8888),
        (["--port", "abc"], 8888),
    ],
)
def test_port_of(arguments: list[str], port: int) -> None:
    assert port_of(arguments) == port


def test_jupyterlab_is_for_this_machine_alone_and_keeps_its_token() -> None:
    options = jupyter_options(DESKTOP, ["--no-browser", "--port", "8899"], COURSE, ["bash", "-i"])
    assert "--ServerApp.ip=127.0.0.1" in options
    assert "--ServerApp.root_dir=/clone/course" in options
    assert "--LabApp.default_url=/lab/tree/00-start-here.ipynb" in options
    assert options[-3:] == ["--no-browser", "--port", "8899"]
    assert not any("token" in option or "password" in option or "allow_remote" in option for option in options)
    assert "--allow-root" not in options


@pytest.mark.parametrize(
    ("arguments", "ours"),
    [
        (["--ip", "0.0.0.0"], "--ServerApp.ip="),  # the advice in a container
        (["--ip=0.0.0.0"], "--ServerApp.ip="),
        (["--ServerApp.ip=0.0.0.0"], "--ServerApp.ip="),
        (["--notebook-dir=/x"], "--ServerApp.root_dir="),
        (["--LabApp.default_url=/lab"], "--LabApp.default_url="),
        (["--transport=tcp"], "--KernelManager.transport="),
        (["--KernelManager.transport=tcp"], "--KernelManager.transport="),
    ],
)
def test_what_the_learner_sets_is_the_learners(arguments: list[str], ours: str) -> None:
    channels = ["--KernelManager.transport=ipc"]
    assert any(option.startswith(ours) for option in jupyter_options(DESKTOP, [], COURSE, ["bash"], channels))
    options = jupyter_options(DESKTOP, arguments, COURSE, ["bash"], channels)
    assert options[-len(arguments) :] == arguments
    assert not any(option.startswith(ours) for option in options[: -len(arguments)]), (
        "Jupyter refuses a setting that is there twice"
    )


def test_root_is_allowed_as_root() -> None:
    assert "--allow-root" in jupyter_options(Surroundings("", root=True, opens=True), [], COURSE, ["bash"])


def test_a_codespace_lets_in_its_own_name_and_no_other() -> None:
    seen = around({"CODESPACES": "true", "CODESPACE_NAME": "fun"})
    options = jupyter_options(seen, ["--port", "8899"], COURSE, ["bash"])
    host = "fun-8899.app.github.dev"
    assert f"--ServerApp.custom_display_url=https://{host}/lab/tree/00-start-here.ipynb" in options
    assert f"--ServerApp.allow_origin=https://{host}" in options
    assert f'--ServerApp.local_hostnames=["localhost", "{host}"]' in options
    assert "--ServerApp.port_retries=0" in options, "the name has the port in it"


def test_kubectl_and_this_python_come_first_on_path_once() -> None:
    folder = str(Path(sys.executable).parent)
    before = {"PATH": f"/usr/bin:{folder}:/bin", "KUBECONFIG": "/home/me/.kube/config"}
    values = course_environment(Path("/state/ports.kubeconfig"), Path("/state/bin"), before)
    assert values == {"KUBECONFIG": "/state/ports.kubeconfig", "PATH": f"/state/bin:{folder}:/usr/bin:/bin"}
    again = course_environment(Path("/state/ports.kubeconfig"), Path("/state/bin"), before | values)
    assert again == values


def test_a_shell_reads_the_lines_as_they_are() -> None:
    lines = shell_lines({"KUBECONFIG": "/home/it's me/a b"})
    done = subprocess.run(["sh", "-c", f'{lines}\nprintf %s "$KUBECONFIG"'], capture_output=True, encoding="utf-8")
    assert done.stdout == "/home/it's me/a b"


# --- files of this machine


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a kind and two kubectls of an odd name; a home of its own."""
    monkeypatch.setenv("LABS_HOME", str(tmp_path / "home"))
    for name, says in {
        "my-kind": "kind v0.33.0",
        "kubectl-1": "one",
        "kubectl-2": "two",
    }.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\necho {says}\n")
        path.chmod(0o755)
    monkeypatch.setenv("KIND_BIN", str(tmp_path / "my-kind"))
    return tmp_path


def test_a_folder_holds_the_programs_under_their_names_and_nothing_else(programs: Path) -> None:
    folder = launch.programs_folder(programs / "kubectl-1")
    assert sorted(path.name for path in folder.iterdir()) == ["kind", "kubectl"]
    assert subprocess.run([folder / "kubectl"], capture_output=True, encoding="utf-8").stdout == "one\n"
    launch.programs_folder(programs / "kubectl-2")
    assert subprocess.run([folder / "kubectl"], capture_output=True, encoding="utf-8").stdout == "two\n"


def test_a_terminal_has_the_settings_although_a_start_up_file_has_others(
    programs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".bashrc").write_text("export KUBECONFIG=/home/me/prod PATH=/elsewhere:$PATH MINE=kept\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    values = {"KUBECONFIG": "/state/ports.kubeconfig", "PATH": f"/state/bin:{os.environ['PATH']}"}
    command = launch.shell_command(values)
    script = 'printf "%s %s %s\\n" "$KUBECONFIG" "${PATH%%:*}" "$MINE"'
    done = subprocess.run(command, input=f"{script}\nexit\n", capture_output=True, encoding="utf-8")
    assert done.stdout == "/state/ports.kubeconfig /state/bin kept\n"


def test_without_bash_the_learners_own_shell_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/ash")
    assert launch.shell_command({}) == ["/bin/ash"]


@pytest.mark.parametrize(
    ("arguments", "ip", "transport"),
    [((), "127.0.0.1", "ipc"), (("--ip", "0.0.0.0", "--transport=tcp"), "0.0.0.0", "tcp")],
    ids=["ours", "the learner's"],
)
def test_options_are_read_by_jupyter_as_they_are_meant(
    arguments: tuple[str, ...], ip: str, transport: str, programs: Path
) -> None:
    """JupyterLab itself reads the options; it is not started."""
    seen = around({"CODESPACES": "true", "CODESPACE_NAME": "fun"})
    shell, channels = ["bash", "--rcfile", "/a b/rc", "-i"], ["--KernelManager.transport=ipc"]
    options = jupyter_options(seen, ["--port", "8899", *arguments], home.state(), shell, channels)
    read = (
        "import json, sys; from jupyterlab.labapp import LabApp; from jupyter_server.serverapp import ServerApp\n"
        "app = LabApp.initialize_server(argv=sys.argv[1:]); lab = app.starter_app\n"
        "print(json.dumps([app.terminado_settings['shell_command'], app.port, lab.default_url, list(app.local_hostnames), "
        "app.custom_display_url, app.allow_remote_access, bool(app.identity_provider.token), app.ip, "
        "app.kernel_manager.kernel_manager_factory(parent=app.kernel_manager).transport]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", read, "--allow-root", *options],
        capture_output=True,
        encoding="utf-8",
        cwd=programs,
        env=os.environ | {"JUPYTER_CONFIG_DIR": str(programs / "config"), "JUPYTER_RUNTIME_DIR": str(programs / "run")},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    host = "fun-8899.app.github.dev"
    assert json.loads(done.stdout.splitlines()[-1]) == [
        ["bash", "--rcfile", "/a b/rc", "-i"],
        8899,
        "/lab/tree/00-start-here.ipynb",
        ["localhost", host],
        f"https://{host}/lab/tree/00-start-here.ipynb",
        ip != "127.0.0.1",
        True,
        ip,
        transport,
    ]
