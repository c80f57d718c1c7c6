"""Rules of one Service, picked out of a node's: nftables as kube-proxy 1.37 and 1.34 write them, and iptables."""

import pytest

from labs import rules

NFTABLES = """\
table ip kube-proxy {
	map service-ips {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 10.96.0.1 . tcp . 443 : goto service-2QRHZV4L-default/kubernetes/tcp/https,
			10.97.239.58 . tcp . 9999 : goto service-IEAFJTYB-ports/productpage/tcp/http }
	}

	map service-nodeports {
		elements = { tcp . 30066 : goto external-IEAFJTYB-ports/productpage/tcp/http }
	}

	chain service-2QRHZV4L-default/kubernetes/tcp/https {
		meta l4proto tcp dnat to 172.18.0.7:6443
	}

	chain service-IEAFJTYB-ports/productpage/tcp/http {
		meta l4proto tcp dnat to 10.244.1.6:9080
	}

	chain external-IEAFJTYB-ports/productpage/tcp/http {
		meta mark set meta mark | 0x00004000 comment "masquerade"
		goto service-IEAFJTYB-ports/productpage/tcp/http
	}
}
"""

OLDER_NFTABLES = """\
table ip kube-proxy {
	chain service-IEAFJTYB-ports/productpage/tcp/http {
		ip daddr 10.97.239.58 tcp dport 9999 ip saddr != 10.244.0.0/16 jump mark-for-masquerade
		numgen random mod 1 vmap { 0 : goto endpoint-5OJB2KTY-ports/productpage/tcp/http__10.244.1.6/9080 }
	}

	chain endpoint-5OJB2KTY-ports/productpage/tcp/http__10.244.1.6/9080 {
		meta l4proto tcp dnat to 10.244.1.6:9080
	}
}
"""

IPTABLES = """\
-A KUBE-SERVICES -d 10.97.239.58/32 -p tcp -m comment --comment "ports/productpage:http cluster IP" -m tcp --dport 9999 -j A
-A KUBE-SVC-A -m comment --comment "ports/productpage:http -> 10.244.1.6:9080" -j KUBE-SEP-B
-A KUBE-SEP-B -p tcp -m comment --comment "ports/productpage:http" -m tcp -j DNAT --to-destination 10.244.1.6:9080
-A KUBE-SEP-C -p tcp -m comment --comment "ports/productpage-2:http" -m tcp -j DNAT --to-destination 10.244.1.9:9080
-A KUBE-SEP-D -p tcp -m comment --comment "ports/productpage" -m tcp -j DNAT --to-destination 10.244.1.8:80
"""


@pytest.mark.parametrize(
    ("text", "mode"), [(NFTABLES, "nftables"), (OLDER_NFTABLES, "nftables"), (IPTABLES, "iptables"), ("", "")]
)
def test_mode(text: str, mode: str) -> None:
    assert rules.mode(text) == mode


def test_nftables_gives_the_elements_and_the_whole_chains_of_that_service() -> None:
    assert rules.of_service(NFTABLES, "ports", "productpage").splitlines() == [
        "10.97.239.58 . tcp . 9999 : goto service-IEAFJTYB-ports/productpage/tcp/http",
        "tcp . 30066 : goto external-IEAFJTYB-ports/productpage/tcp/http",
        "chain service-IEAFJTYB-ports/productpage/tcp/http {",
        "    meta l4proto tcp dnat to 10.244.1.6:9080",
        "}",
        "chain external-IEAFJTYB-ports/productpage/tcp/http {",
        '    meta mark set meta mark | 0x00004000 comment "masquerade"',
        "    goto service-IEAFJTYB-ports/productpage/tcp/http",
        "}",
    ]


def test_nftables_of_an_older_kube_proxy_has_a_chain_for_each_endpoint() -> None:
    assert rules.of_service(OLDER_NFTABLES, "ports", "productpage").count("chain ") == 2


def test_iptables_gives_the_rules_whose_comment_names_that_service_and_no_other() -> None:
    found = rules.of_service(IPTABLES, "ports", "productpage").splitlines()
    assert found == [line for line in IPTABLES.splitlines() if "productpage-2" not in line]


def test_nothing_is_found_for_a_service_of_another_namespace() -> None:
    for text in (NFTABLES, IPTABLES, ""):
        assert rules.of_service(text, "target-port", "productpage") == ""
