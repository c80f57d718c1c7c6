"""A real API server to compare the embedded one with: the cluster whose kubeconfig LABS_DIFFERENTIAL names.

It is of the version that the embedded API says it is, and may be written to, in a namespace of these tests' own.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest
import requests

from tests.differential.asking import NAMESPACE, PLACE

REAL = os.environ.get("LABS_DIFFERENTIAL", "")
KUBECTL = os.environ.get("KUBECTL_BIN") or shutil.which("kubectl")
_LIMIT = 60.0  # seconds for a namespace to be there, or to be gone


@pytest.fixture(scope="session")
def real() -> Iterator[str]:
    """The real server's URL; Pods can be made in its namespace."""
    if not REAL:
        pytest.skip("LABS_DIFFERENTIAL (the kubeconfig of a real cluster) is not set")
    if not KUBECTL:
        pytest.skip("there is no kubectl")
    command = [KUBECTL, "--kubeconfig", REAL, "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            base = "http://" + proxy.stdout.readline().strip().rpartition(" ")[2]
            requests.delete(base + PLACE, timeout=30)  # an earlier run may have left it
            _until(f"{base}{PLACE}", 404)
            made = requests.post(base + "/api/v1/namespaces", json={"metadata": {"name": NAMESPACE}}, timeout=30)
            assert made.status_code == 201, made.text
            _until(f"{base}{PLACE}/serviceaccounts/default", 200)
            yield base
            requests.delete(base + PLACE, timeout=30)
        finally:
            proxy.terminate()


def _until(url: str, wanted: int) -> None:
    """Until a GET is answered with that status."""
    end = time.monotonic() + _LIMIT
    while requests.get(url, timeout=30).status_code != wanted:
        assert time.monotonic() < end, f"{url} does not answer {wanted}"
        time.sleep(0.1)
