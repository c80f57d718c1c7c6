"""Whether a request from outside goes to this cluster, by what kernels say of their routes."""

import shutil
import subprocess

import pytest

from labs.probe import routes
from labs.probe.routes import Route

NODES = ["172.18.0.2", "172.18.0.3"]
BRIDGE = '[{"dst":"172.18.0.0/16","dev":"br0","protocol":"kernel","scope":"link","prefsrc":"172.18.0.1","flags":[]}]'
DEFAULT = '[{"dst":"default","gateway":"192.0.2.1","dev":"eth0","flags":[]}]'
MACOS = """\
   route to: 10.244.1.2
destination: default
       mask: default
    gateway: 192.168.1.1
  interface: en0
      flags: <UP,GATEWAY,DONE,STATIC,PRCLONING,GLOBAL>
"""


def why_not(address: str, said: str, node: str = BRIDGE) -> str:
    addresses = list(dict.fromkeys([address, *NODES]))
    texts = [said if one == address else node for one in addresses]
    found = routes.read("".join(f"\x1e{number}\n{text}\n" for number, text in enumerate(texts)), addresses)
    return routes.why_not(address, found, NODES, "your")


def test_the_default_route_is_not_the_clusters() -> None:
    said = "your routing table sends 10.244.1.2 to 192.0.2.1 by eth0, which is not this cluster"
    assert why_not("10.244.1.2", DEFAULT) == said
    assert why_not("172.18.0.2", DEFAULT, DEFAULT) == said.replace("10.244.1.2", "172.18.0.2")


def test_macos_default_route() -> None:
    said = why_not("10.244.1.2", MACOS)
    assert said == "your routing table sends 10.244.1.2 to 192.168.1.1 by en0, which is not this cluster"


def test_macos_on_link() -> None:
    text = "destination: 172.18.0.0\n       mask: 255.255.0.0\n  interface: bridge100\n      flags: <UP,DONE>\n"
    assert why_not("172.18.0.2", text, text) == ""


@pytest.mark.parametrize("wide", ["default", "0.0.0.0/1"])
def test_a_vpn_without_a_gateway_is_not_the_nodes_link(wide: str) -> None:
    vpn = BRIDGE.replace("172.18.0.0/16", wide).replace("br0", "tun0")
    assert why_not("10.244.1.2", vpn, vpn) == (
        "your routing table sends 10.244.1.2 to the network behind tun0, which is not this cluster"
    )
    assert why_not("172.18.0.2", vpn, vpn) != ""


def test_a_node_on_link_is_the_clusters() -> None:
    assert why_not("172.18.0.2", BRIDGE) == ""


def test_a_pod_address_by_way_of_a_node_is_the_clusters() -> None:
    said = '[{"dst":"10.244.1.0/24","gateway":"172.18.0.3","dev":"br0","flags":[]}]'
    assert why_not("10.244.1.2", said) == ""
    assert why_not("10.244.1.2", said.replace("172.18.0.3", "172.18.0.9")) != ""


def test_a_pod_address_on_another_link_than_the_nodes_is_not() -> None:
    said = BRIDGE.replace("172.18.0.0/16", "10.244.0.0/16")
    assert why_not("10.244.1.2", said) == ""
    assert why_not("10.244.1.2", said.replace("br0", "wlan0")) != ""


def test_where_there_is_no_route_nothing_leaves_and_curl_may_say_so() -> None:
    assert why_not("10.244.1.2", "RTNETLINK answers: Network is unreachable") == ""


@pytest.mark.parametrize("said", ["", "sh: ip: not found", "[]", "[1]", '[{"dst": 3}]'])
def test_what_cannot_be_read_is_not_tried(said: str) -> None:
    assert "could not be read" in why_not("10.244.1.2", said)


@pytest.mark.skipif(shutil.which("ip") is None, reason="no `ip` on this machine")
def test_this_kernel_is_read() -> None:
    done = subprocess.run(routes.command(["127.0.0.1"]), capture_output=True, encoding="utf-8")
    assert routes.read(done.stdout, ["127.0.0.1"]) == {"127.0.0.1": Route("", "lo", False, local=True)}
