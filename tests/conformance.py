"""Upstream Kubernetes' own conformance specs of SIG Network, as a step of `make test`: 34 specs over Services, Networking,
EndpointSlices, DNS and host ports. What compiles and runs them is test equipment that may lie beside this repository.

Says why they cannot be run, and runs them. Knows nothing of single specs: which one failed is printed by the equipment.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from labs.providers import containers

ROOT = Path(__file__).resolve().parents[1]
RUNNER = ROOT.parent / "shared" / "conformance" / "run"
NAMES = ("agnhost:2.66.1", "agnhost:2.55", "busybox:1.37.0-2", "busybox:1.36.1-1", "glibc-dns-testing:2.1.1")
IMAGES = tuple(f"registry.k8s.io/e2e-test-images/{name}" for name in NAMES)  # that the specs' Pods ask for
PROCESSES = "4"  # specs at once


def why_not(kind: bool, runner: Path = RUNNER) -> str:
    """What is missing to run them, with the mend; "" where nothing is. kind: nodes take their images from the engine."""
    if not runner.exists():
        return f"upstream's specs are compiled by equipment that is not here (../{runner.relative_to(ROOT.parent)})."
    if shutil.which("go") is None:
        return "upstream's specs are compiled with Go, which is not on PATH. Install Go 1.26 or newer."
    missing = [image for image in IMAGES if not containers.image_here(image)] if kind else []
    if missing:
        return f"the container engine does not have {', '.join(missing)}. .ci/run gives it stand-ins; elsewhere: docker pull."
    return ""


def load(cluster: str, environment: Mapping[str, str]) -> None:
    """Gives the nodes of a kind cluster the images that the specs ask for. CalledProcessError."""
    command = [environment["KIND_BIN"], "load", "docker-image", "--name", cluster, *IMAGES]
    subprocess.run(command, check=True, capture_output=True, encoding="utf-8")


def run(environment: Mapping[str, str]) -> tuple[bool, str]:
    """Runs them on the cluster of KUBECONFIG, and prints what they print. Whether all passed, and the counts."""
    command = [str(RUNNER), "-n", PROCESSES]
    print(f"\n$ {' '.join(command)}", flush=True)
    done = subprocess.run(command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="utf-8")
    print(done.stdout, end="", flush=True)
    return verdict(done.returncode, done.stdout)


def verdict(code: int, printed: str) -> tuple[bool, str]:
    """Whether all passed, and the counts, from the equipment's exit code and what it printed. No spec run is no pass."""
    found = re.search(r"(\d+) Passed \| (\d+) Failed", printed)
    if found is None:
        return False, f"exit code {code}, no counts"
    passed, failed = found.groups()
    return code == 0 and int(passed) > 0, f"{passed} passed, {failed} failed" if int(failed) else f"{passed} passed"
