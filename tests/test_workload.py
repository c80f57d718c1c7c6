"""labs.workload without a cluster: what the manifests say. Whether such a Pod answers is in contract/test_workload.py."""

import pytest
import yaml

from labs.deploy import manifest_path
from labs.errors import BadInput
from labs.workload import pod


def test_the_default_is_the_articles_pod2() -> None:
    written = yaml.safe_load(manifest_path("02-pod2").read_text("utf-8"))
    ours = pod("pod2", {"app": "productpage"})
    for container in ours["spec"]["containers"]:
        assert container.pop("imagePullPolicy") == "IfNotPresent"
    assert ours == written


def test_the_declaration_is_apart_from_the_process() -> None:
    first = pod("pod2", {}, listen_port=9080, container_port=9999, port_name="http")["spec"]["containers"][0]
    assert first["ports"] == [{"containerPort": 9999, "name": "http"}]
    assert "--http-port=9080" in first["args"]
    assert first["readinessProbe"]["httpGet"]["port"] == 9080


def test_nothing_declared() -> None:
    assert "ports" not in pod("pod2", {}, container_port=None)["spec"]["containers"][0]


def test_on_127_0_0_1_no_probe_comes_from_outside_the_pod() -> None:
    first = pod("pod2", {}, listen_port=8080, listen_address="127.0.0.1")["spec"]["containers"][0]
    assert first["command"][-1] == "8080"
    assert "readinessProbe" not in first
    assert "exec" in first["startupProbe"]


def test_the_first_container_listens_and_the_others_wait() -> None:
    containers = pod("pod2", {}, containers=("one", "two", "three"))["spec"]["containers"]
    assert [c["name"] for c in containers] == ["one", "two", "three"]
    assert [c["args"][0] for c in containers] == ["netexec", "pause", "pause"]


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none(port: int) -> None:
    with pytest.raises(BadInput, match=f"port {port}"):
        pod("pod2", {}, listen_port=port)


def test_an_address_that_the_process_does_not_know() -> None:
    with pytest.raises(BadInput, match=r"10\.0\.0\.1"):
        pod("pod2", {}, listen_address="10.0.0.1")
