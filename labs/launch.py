"""Opens the course: brings the cluster up, the learner's copies up to date, and starts JupyterLab on the first lesson.

Also knows what a shell needs for the course (`python -m labs env`). Does not make clusters (providers do), install anything
(labs/bootstrap.py does), or wait for JupyterLab (labs/lab_server.py does).
"""

import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labs import copies, home, kernels, packages, providers, tools
from labs.cluster import Cluster
from labs.embedded import own_files

Say = Callable[[str], None]
FIRST = "00-start-here.ipynb"
PORT = 8888  # JupyterLab's own default
# JupyterLab's short names of what we set (`jupyter lab --help`).
_ALIASES = {
    "ip": "ServerApp.ip",
    "notebook-dir": "ServerApp.root_dir",
    "port-retries": "ServerApp.port_retries",
    "transport": "KernelManager.transport",
}


@dataclass(frozen=True)
class Surroundings:
    """What matters for showing JupyterLab. place: "", "WSL", "Codespaces", "devcontainer", "container" or "ssh".

    root: whether we are root. opens: whether a browser can be opened from here. codespace: its host name without the port,
    as in "{name}-8888.app.github.dev" with "{port}" in it.
    """

    place: str
    root: bool
    opens: bool
    codespace: str = ""


# --- computed


def surroundings(environment: Mapping[str, str], system: str, release: str, container: bool, root: bool) -> Surroundings:
    """Judges where we are. system, release: as `platform` tells them. container: whether we are inside one."""
    if environment.get("CODESPACES") == "true":
        domain = environment.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN", "app.github.dev")
        return Surroundings("Codespaces", root, False, f"{environment.get('CODESPACE_NAME', '')}-{{port}}.{domain}")
    if environment.get("REMOTE_CONTAINERS") or environment.get("DEVCONTAINER"):
        return Surroundings("devcontainer", root, False)
    if system == "Linux" and "microsoft" in release.lower():
        return Surroundings("WSL", root, False)
    if container:
        return Surroundings("container", root, False)
    if environment.get("SSH_CONNECTION"):
        return Surroundings("ssh", root, False)
    desktop = system in ("Darwin", "Windows") or any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return Surroundings("", root, bool(desktop))


def port_of(arguments: Sequence[str]) -> int:
    """The port that JupyterLab is asked for in the arguments of `make lab`; PORT where they name none."""
    for number, word in enumerate(arguments):
        name, _, value = word.partition("=")
        if name in ("--port", "--ServerApp.port", "--LabApp.port"):
            value = value or (arguments[number + 1] if number + 1 < len(arguments) else "")
            if value.isdigit():
                return int(value)
    return PORT


def jupyter_options(
    around: Surroundings, arguments: Sequence[str], course: Path, shell: Sequence[str], channels: Sequence[str] = ()
) -> list[str]:
    """JupyterLab's options: on 127.0.0.1 alone, with its token, in `course`. What the learner's arguments set is theirs.

    channels: the options for how it talks with its kernels.
    """
    options = [
        *channels,
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={course}",
        f"--LabApp.default_url=/lab/tree/{FIRST}",
        f"--ServerApp.terminado_settings={json.dumps({'shell_command': list(shell)})}",
    ]
    if around.root:
        options.append("--allow-root")
    if not around.opens:
        options.append("--no-browser")
    if around.codespace:
        # The browser comes by the forwarded name, so that name must be let in; the token stays.
        host = around.codespace.format(port=port_of(arguments))
        options += [
            f"--ServerApp.local_hostnames={json.dumps(['localhost', host])}",
            f"--ServerApp.allow_origin=https://{host}",
            f"--ServerApp.custom_display_url=https://{host}/lab/tree/{FIRST}",
            "--ServerApp.port_retries=0",
        ]
    # Jupyter ends with an error where a setting is given twice.
    given = {_ALIASES.get(_name(word), _name(word)) for word in arguments}
    return [*[option for option in options if "=" not in option or _name(option) not in given], *arguments]


def _name(word: str) -> str:
    return word.partition("=")[0].removeprefix("--")


def advice(around: Surroundings, port: int | str) -> str:
    """How a browser gets to JupyterLab from here, where it is not opened by itself; "" where it is.

    port: where JupyterLab listens; "{port}" where that is not known yet.
    """
    forwarded = f"VS Code forwards port {port}: click the URL below."
    return {
        "Codespaces": forwarded,
        "devcontainer": forwarded,
        "WSL": "Open the URL below in your browser on Windows.",
        "container": (
            f"This is a container: publish port {port} (`docker run -p 127.0.0.1:{port}:{port}`), run "
            '`make lab ARGS="--ip 0.0.0.0"`, and open the URL below.'
        ),
        "ssh": (
            f"On your own machine: `ssh -L {port}:127.0.0.1:{port} THIS-MACHINE`; then open the URL below there."
        ),
        "": "" if around.opens else "Open the URL below in a browser.",
    }[around.place]


def course_environment(kubeconfig: Path, programs: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """What a shell or kernel needs besides what it has: our KUBECONFIG; kubectl and this Python first on PATH.

    programs: the folder with kind and kubectl. environment: what the shell has now.
    """
    first = [str(programs), str(Path(sys.executable).parent)]
    others = [folder for folder in environment.get("PATH", os.defpath).split(os.pathsep) if folder not in first]
    return {"KUBECONFIG": str(kubeconfig), "PATH": os.pathsep.join([*first, *others])}


def shell_lines(values: Mapping[str, str]) -> str:
    """The values as lines for a POSIX shell."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items())


# --- this machine


def here() -> Surroundings:
    """Where we are now."""
    inside = Path("/.dockerenv").exists() or Path("/run/.containerenv").exists()
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return surroundings(os.environ, platform.system(), platform.release(), inside, root)


def programs_folder(kubectl: Path) -> Path:
    """A folder for PATH that holds kubectl, and kind where it is found, under just these names; nothing else."""
    folder = home.state() / "bin"
    found = {"kubectl": kubectl}
    kind = tools.found_where("kind")
    if kind.path.exists():
        found["kind"] = kind.path
    with home.keeping("The folder with the course's programs"):
        own_files.make_folder(folder)
        for name, path in found.items():
            own_files.link(folder / name, path)
    return folder


def environment_of(cluster: Cluster) -> dict[str, str]:
    """What a shell needs for this cluster."""
    return course_environment(cluster.kubeconfig, programs_folder(cluster.kubectl_path), os.environ)


def shell_command(values: Mapping[str, str]) -> list[str]:
    """The shell of JupyterLab's terminals: bash where there is one, the values set after the learner's own ~/.bashrc.

    A start-up file may set PATH or KUBECONFIG anew; then a lesson's commands would go to another cluster.
    """
    bash = shutil.which("bash")
    if bash is None:
        return [os.environ.get("SHELL", "sh")]
    start = home.state() / f"{home.cluster_name()}.bashrc"
    with home.keeping("The start-up file of the course's terminals"):
        own_files.write(start, f"[ -r ~/.bashrc ] && . ~/.bashrc\n{shell_lines(values)}\n")
    return [bash, "--rcfile", str(start), "-i"]


def lab(arguments: Sequence[str], say: Say) -> None:
    """Brings all up and becomes JupyterLab; does not return. LabError where something is missing."""
    packages.complete(say)
    choice = providers.choose()
    say(f"The cluster: {choice} ({choice.why}).")
    cluster = providers.up(say)
    copies.update(say)
    say(f"Your copies of the lessons: {copies.COURSE}")
    values = environment_of(cluster)
    around = here()
    channels = kernels.channels()
    log = home.state() / f"{home.cluster_name()}.jupyterlab.log"
    # -P: a learner's random.py in course/ is not the one that JupyterLab imports.
    command = [sys.executable, "-P", "-m", "labs.lab_server", str(log), advice(around, "{port}")]
    command += jupyter_options(around, arguments, copies.COURSE, shell_command(values), channels.options)
    say(f"The cluster stays up when you close JupyterLab; `{Path(sys.executable).parent}/python -m labs down` ends it.")
    if channels.warning:
        say(channels.warning)
    say(f"JupyterLab starts; Ctrl-C in this terminal ends it. Its log: {log}")
    sys.stdout.flush()
    os.chdir(copies.COURSE)
    # A kernel of that name in the learner's home must not take the place of this environment's.
    os.execve(sys.executable, command, os.environ | values | channels.environment | {"JUPYTER_PREFER_ENV_PATH": "1"})
