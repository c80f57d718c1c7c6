"""tests.facts: names become sentences, reports become columns, and the committed table holds every fact and no other."""

import pytest

from tests import facts

REPORT = """<testsuites><testsuite><properties><property name="provider" value="kind"/>
<property name="kubernetes" value="v1.2.3"/></properties>
<testcase classname="tests.contract.test_node_port" name="test_a"><properties>
<property name="seen" value="a Pod: answered; a node: refused; a Pod: refused"/>
</properties></testcase>
<testcase classname="tests.contract.test_node_port" name="test_b[80]"/>
<testcase classname="tests.contract.test_node_port" name="test_b[81]"><failure message="no"/></testcase>
<testcase classname="tests.contract.test_node_port.TestPing" name="test_c"><skipped message="no second node"/></testcase>
</testsuite></testsuites>"""


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("test_a_node_port_opens_on_every_node", "A node port opens on every node"),
        ("test_no_interface_holds_a_cluster_ip", "No interface holds a ClusterIP"),
        ("TestAProcessOn127001.test_answers_port_forward", "A process on 127.0.0.1: answers port-forward"),
        ("TestExternalTrafficPolicyLocal.test_a_pod", "externalTrafficPolicy: Local: a Pod"),
        ("TestAWrongPortOnAClusterIP.test_is_refused", "A wrong port on a ClusterIP: is refused"),
        ("test_kubectl_expose_takes_the_declared_port", "`kubectl expose` takes the declared port"),
    ],
)
def test_a_name_is_a_sentence(name: str, fact: str) -> None:
    assert facts.sentence(name) == fact


def test_facts_are_the_tests_in_their_order() -> None:
    source = "class TestPing:\n    def test_a(self): ...\n    def help(self): ...\ndef test_b(): ...\ndef other(): ..."
    assert facts.facts({"m": source}) == [("m", "TestPing.test_a"), ("m", "test_b")]


def test_a_report_is_a_column() -> None:
    column = facts.column(REPORT, "nftables")
    assert column.title == "kind, Kubernetes v1.2.3, nftables"
    assert column.seen == {
        ("test_node_port", "test_a"): "a Pod: answered, refused; a node: refused",
        ("test_node_port", "test_b"): "holds; **does not hold**",
        ("test_node_port", "TestPing.test_c"): "not here: no second node",
    }


def test_a_fact_that_was_not_run_says_so() -> None:
    page = facts.table([("test_node_port", "test_x")], [facts.Column("here", {})])
    assert "| X | not run |" in page


def test_the_committed_table_holds_every_fact_and_each_of_them_holds() -> None:
    sources = {module: (facts.ROOT / "tests/contract" / f"{module}.py").read_text("utf-8") for module in facts.GROUPS}
    page = facts.TABLE.read_text("utf-8")
    listed = [line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if line.startswith("| ")]
    assert [one for one in listed if one != "the fact"] == [facts.sentence(name) for _, name in facts.facts(sources)]
    assert "not run" not in page
    assert "does not hold" not in page
