"""Brings the image of the course's Pods from the engine onto the nodes of a kind cluster.

Does not make the nodes, and pulls nothing: an image that the engine lacks is for the nodes to pull.
"""

import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from labs.errors import LabError
from labs.providers import containers

FIRST_OF_KUBEADM = "/etc/kubernetes/pki/ca.crt"  # what kubeadm writes first, on the control plane's node
Load = Callable[[str], None]  # loads an archive, given its path, onto every node; raises subprocess.CalledProcessError


def load(nodes: Sequence[str], image: str, by: Load, say: Callable[[str], None]) -> None:
    """Loads the image onto these nodes, unless they have it. Where that cannot be, says why; the nodes try to pull it then."""
    if all(_has(node, image) for node in nodes):
        return
    if not containers.image_here(image):
        say(f"The nodes pull the image of the course's Pods, {image} (about 60 MB).")
        return
    say(f"Loading the image of the course's Pods onto the nodes: {image}.")
    try:
        with _archive(image) as path:
            by(path)
    except subprocess.CalledProcessError as error:
        say(f"That failed ({str(error.stderr).strip()}); the nodes will try to pull it.")


@contextmanager
def loaded_early(cluster: str, image: str, by: Load) -> Iterator[None]:
    """While somebody makes the cluster: loads the image as soon as kubeadm is at work, long before the nodes are Ready.

    Making nodes is waiting for the most part, so this costs little of it. What fails here is left to `load`, which tells.
    """
    ended = threading.Event()

    def work() -> None:
        try:
            if not containers.image_here(image):
                return
            with _archive(image) as path:
                while not _at_kubeadm(cluster):
                    if ended.wait(0.3):
                        return
                by(path)
        except (LabError, OSError, subprocess.CalledProcessError):  # OSError: no room for the archive
            return

    beside = threading.Thread(target=work, name="load-image")
    beside.start()
    try:
        yield
    finally:
        ended.set()
        beside.join()


@contextmanager
def _archive(image: str) -> Iterator[str]:
    """The path of an archive of this image, which is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "image.tar")
        saved = containers.save_image(image, path)
        if saved.code != 0:
            raise subprocess.CalledProcessError(saved.code, "save", stderr=saved.err)
        yield path


def _at_kubeadm(cluster: str) -> bool:
    """Whether kind has come as far as kubeadm: all nodes run then, and their containerd has its settings, for which kind
    restarts it (kind/pkg/cluster/internal/create: create.go, actions/config/config.go)."""
    nodes = [node.name for node in containers.nodes(cluster) if node.running]
    return any(containers.execute(node, ["test", "-e", FIRST_OF_KUBEADM]).code == 0 for node in nodes)


def _has(node: str, image: str) -> bool:
    listed = containers.execute(node, ["ctr", "--namespace=k8s.io", "images", "list", "--quiet"])
    return listed.code == 0 and image in listed.out.split()
