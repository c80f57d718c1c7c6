"""The provider context, what it computes: the namespace, the rights, the nodes, the words of a fault. No cluster."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labs.cluster import Node, Ran
from labs.errors import ClusterGone
from labs.providers import context
from labs.providers.context import borrowed, dataplane, reach, rights, strangers

# --- which namespace


def test_the_namespace_is_never_default_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_NAME", "ports")
    chosen = {
        ("asked", "before", "of-context"): ("asked", True),
        ("default", "", ""): ("default", True),
        ("", "before", "of-context"): ("before", True),
        ("", "", "of-context"): ("of-context", True),
        ("", "", "default"): ("ports", False),
        ("", "", ""): ("ports", False),
    }
    assert {key: (context.place(*key).namespace, context.place(*key).named) for key in chosen} == chosen


# --- rights, data plane, nodes


def test_missing_rights_are_told_together_with_the_command_that_grants_them() -> None:
    found = [rights.Missing("get", "pods/exec", "curl"), rights.Missing("create", "pods/exec", "curl")]
    error = rights.lacking([*found, rights.Missing("update", "services", "Services")], "system:serviceaccount:ns:bob", "room")
    assert "get, create pods/exec (for curl); update services" in error.why
    assert "kubectl -n room create rolebinding ports-course --clusterrole=edit --serviceaccount=ns:bob" in error.try_this
    assert "--user=jane@example.org" in rights.lacking(found, "jane@example.org", "room").try_this


def _proxy_config(mode: str) -> dict[str, str]:
    return {"kubeconfig.conf": "apiVersion: v1", "config.conf": f"kind: KubeProxyConfiguration\nmode: {mode}\n"}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (dataplane.Clues(), "not told to us"),
        (dataplane.Clues(groups=["apps"], version="v1.37.0"), "not told to us"),
        (dataplane.Clues({"kube-proxy": _proxy_config("nftables")}), "kube-proxy in nftables mode (its ConfigMap says so)"),
        (dataplane.Clues({"kube-proxy": _proxy_config('""')}), "kube-proxy in iptables mode (its ConfigMap says so)"),
        (dataplane.Clues({"kube-proxy-config": {"config": _proxy_config("ipvs")["config.conf"]}}), "kube-proxy in ipvs mode"),
        (dataplane.Clues({"kube-proxy": _proxy_config("iptables")}, ["cilium.io"]), "Cilium is installed too, and may"),
        (dataplane.Clues({"kube-proxy": {"config.conf": "a: ["}}), "not told to us"),
        (
            dataplane.Clues({"kube-proxy": _proxy_config("iptables"), "cilium-config": {"kube-proxy-replacement": "true"}}),
            "Cilium in place of kube-proxy",
        ),
        (
            dataplane.Clues(
                {"kube-proxy": _proxy_config("iptables"), "cilium-config": {"kube-proxy-replacement": "false"}}, ["cilium.io"]
            ),
            "kube-proxy in iptables mode (its ConfigMap says so)",
        ),
        (dataplane.Clues(groups=["cilium.io"]), "not told to us; Cilium is installed, and may or may not do kube-proxy's work"),
        (dataplane.Clues(groups=["k8s.ovn.org"]), "OVN-Kubernetes"),
        (dataplane.Clues(version="v1.36.1+k3s1"), "kube-proxy, built into k3s"),
    ],
)
def test_the_data_plane_is_named_by_what_can_be_read(found: dataplane.Clues, told: str) -> None:
    named = dataplane.named(found)
    assert named.startswith(told) or told in named
    assert (named == told) or told != "not told to us"


def _node(name: str, ready: str = "True", **addresses: str) -> Any:
    return SimpleNamespace(
        metadata=SimpleNamespace(name=name),
        status=SimpleNamespace(
            conditions=[SimpleNamespace(type="Ready", status=ready)],
            addresses=[SimpleNamespace(type=kind, address=address) for kind, address in addresses.items()],
            daemon_endpoints=SimpleNamespace(kubelet_endpoint=SimpleNamespace(port=10250)),
        ),
    )


def test_nodes_are_those_that_are_ready_and_doors_are_tried_from_outside_in() -> None:
    found = [
        _node("b", InternalIP="10.0.0.2", ExternalIP="203.0.113.2"),
        _node("a", InternalIP="10.0.0.1"),
        _node("lost", ready="Unknown", InternalIP="10.0.0.3"),
    ]
    assert borrowed.nodes(found) == (Node("a", "10.0.0.1"), Node("b", "10.0.0.2"))
    assert [door.address for door in borrowed.doors(found)] == ["203.0.113.2", "10.0.0.1", "10.0.0.2", "10.0.0.3"]


# --- whether a node is reached


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_a_stranger_at_a_nodes_address_is_no_node(tmp_path: Path, listener: socket.socket) -> None:
    door = reach.Door("worker", "127.0.0.1", listener.getsockname()[1])
    assert not reach.is_node(door)  # it takes the connection and says nothing
    assert not reach.is_node(reach.Door("worker", "127.0.0.1", 1))


@pytest.mark.parametrize(("name", "known"), [("worker", True), ("somebody", False)])
def test_a_node_is_known_by_its_kubelets_certificate(tmp_path: Path, name: str, known: bool) -> None:
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}@1"]
    try:
        subprocess.run([*made, "-out", "crt", "-keyout", "key"], cwd=tmp_path, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl here to make a certificate with")
    serve = (
        "import socket, ssl; c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain('crt', 'key')\n"
        "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)\n"
        "c.wrap_socket(s.accept()[0], server_side=True).recv(1)"
    )
    command = [sys.executable, "-c", serve]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout is not None
        door = reach.Door("worker", "127.0.0.1", int(server.stdout.readline()))
        assert reach.is_node(door) is known
        server.kill()


def test_an_open_node_port_will_do_where_the_kubelet_is_hidden(listener: socket.socket) -> None:
    hidden = reach.Door("worker", "127.0.0.1", 1)
    assert reach.first_reached([hidden], listener.getsockname()[1]) == "127.0.0.1"
    assert reach.first_reached([hidden], 1) is None
    assert reach.first_reached([], 1) is None


# --- why the API does not answer (kubectl's words, as it printed them)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("error: You must be logged in to the server (Unauthorized)", "does not accept your credentials"),
        ("Unable to connect to the server: getting credentials: exec: executable aws not found", "does not accept your"),
        ('Error from server (Forbidden): forbidden: User "system:anonymous" cannot get path "/api"', "does not accept your"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", "does not trust"),
        ("The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?", "does not answer"),
        ("Unable to connect to the server: dial tcp: lookup gone.example: no such host", "does not answer"),
    ],
)
def test_a_fault_is_told_apart_by_kubectls_words(words: str, what: str) -> None:
    error = borrowed.fault_of(Ran(1, "", words), "away", "https://gone.example")
    assert what in error.what
    assert words in error.why
    assert isinstance(error, ClusterGone) is (what == "does not answer")


def test_an_api_that_answers_again_is_not_called_dead() -> None:
    assert "answers now" in borrowed.fault_of(Ran(0, "{}", ""), "away", "https://there.example").why


def test_what_a_cluster_makes_in_each_namespace_is_nobodys() -> None:
    there = ["configmap/kube-root-ca.crt", "serviceaccount/default", "secret/mine", "deployment.apps/web"]
    assert strangers.others(there) == ["deployment.apps/web", "secret/mine"]
