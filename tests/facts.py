"""Writes the table of facts: each fact of the lessons × each cluster that its test ran on, with what was seen there.

`make facts` runs the tests and calls this. A fact is a test of the four modules below; its name, read aloud, is the fact. What
was seen comes from the reports of the runs (tests/contract/seen.py). Runs no test itself.
"""

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "notebooks" / "facts.md"
GROUPS = {
    "test_container_port": "containerPort and the process",
    "test_target_port": "targetPort",
    "test_port_and_cluster_ip": "port and ClusterIP",
    "test_node_port": "nodePort, and the ways in beside it",
}
MODULES = tuple(f"tests/contract/{module}.py" for module in GROUPS)

# As Kubernetes spells them. Longer ones first.
_SPELLING = {
    "each pods": "each Pod's",
    "the pods node": "the Pod's node",
    "other pods nodes": "other Pods, nodes",
    "a pod ip": "a Pod's address",
    "a nodes": "a node's",
    "laptops": "laptop's",
    "external traffic policy local": "externalTrafficPolicy: Local",
    "cluster ip": "ClusterIP",
    "node port": "node port",
    "target port": "targetPort",
    "host port": "hostPort",
    "load balancer": "LoadBalancer",
    "service": "Service",
    "endpoints": "Endpoints",
    "pods": "Pods",
    "pod": "Pod",
    "udp": "UDP",
    "tcp": "TCP",
    "127001": "127.0.0.1",
    "kube proxy": "kube-proxy",
    "port forward": "port-forward",
    "kubectl expose": "`kubectl expose`",
}

Fact = tuple[str, str]  # module, and the test's name in it ("TestPing.test_a_pod_answers")


@dataclass(frozen=True)
class Column:
    """One run of the tests. title: the cluster. seen: by fact, the words of a cell."""

    title: str
    seen: Mapping[Fact, str]


def facts(sources: Mapping[str, str]) -> list[Fact]:
    """The facts in the sources of test modules (by module name), in their order."""
    found: list[Fact] = []
    for module, source in sources.items():
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef):
                found += [(module, f"{node.name}.{test}") for test in _tests(node.body)]
            else:
                found += [(module, test) for test in _tests([node])]
    return found


def _tests(body: Iterable[ast.stmt]) -> list[str]:
    return [node.name for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def sentence(name: str) -> str:
    """A fact's name, read aloud: "TestPing.test_a_pod_answers" is "Ping: a Pod answers"."""
    group, _, test = name.rpartition(".")
    words = test.removeprefix("test_").replace("_", " ")
    if group:
        apart = re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[A-Z][a-z])", " ", group.removeprefix("Test"))
        words = f"{apart.lower()}: {words}"
    for plain, right in _SPELLING.items():
        words = re.sub(rf"\b{plain}\b", right, words)
    first = words.split(maxsplit=1)[0].strip(":")
    return words if first != first.lower() else words[0].upper() + words[1:]


def column(report: str, cluster: str) -> Column:
    """What a pytest report in JUnit's form says. cluster: on kind, kube-proxy's mode; or "embedded"."""
    suite = ElementTree.fromstring(report).find(".//testsuite")
    if suite is None:
        raise ValueError("This is no report of a pytest run.")
    of_suite = {one.get("name"): one.get("value") for one in suite.iterfind("properties/property")}
    cells: dict[Fact, list[str]] = {}
    for case in suite.iter("testcase"):
        *_, module, group = ["", *case.get("classname", "").split(".")]
        of_class = group.startswith("Test")
        name = case.get("name", "").partition("[")[0]
        fact = (module, f"{group}.{name}") if of_class else (group, name)
        cells.setdefault(fact, []).append(_cell(case))
    mode = "as nftables" if cluster == "embedded" else cluster
    title = f"{of_suite.get('provider')}, Kubernetes {of_suite.get('kubernetes')}, {mode}"
    return Column(title, {fact: "; ".join(dict.fromkeys(found)) for fact, found in cells.items()})


def _cell(case: ElementTree.Element) -> str:
    skipped = case.find("skipped")
    if skipped is not None:
        return f"not here: {skipped.get('message', '').partition(': ')[0]}"  # what follows is this machine's own
    if case.find("failure") is not None or case.find("error") is not None:
        return "**does not hold**"
    seen = [one.get("value", "") for one in case.iterfind("properties/property") if one.get("name") == "seen"]
    return _by_place(filter(None, seen)) or "holds"


def _by_place(seen: Iterable[str]) -> str:
    """ "a Pod: answered; a node: refused; a Pod: refused" as "a Pod: answered, refused; a node: refused"."""
    words: dict[str, list[str]] = {}
    for one in "; ".join(seen).split("; "):
        place, _, word = one.partition(": ")
        words.setdefault(place, []).append(word)
    return "; ".join(f"{place}: {', '.join(dict.fromkeys(found))}" for place, found in words.items() if place)


def table(found: Sequence[Fact], columns: Sequence[Column]) -> str:
    """The whole page, in Markdown."""
    lines = [
        "# The facts, and what was seen",
        "",
        "Each line is a fact that the lessons state or show, and a test asserts it on a real cluster. `make facts` runs all of",
        "them and writes this page. Under each cluster is what the test saw there; *holds* where nothing was asked by curl.",
        "Where two modes of kube-proxy differ, so do the columns: your cluster is in one of them.",
    ]
    for module, group in GROUPS.items():
        lines += ["", f"## {group}", "", f"[tests](../tests/contract/{module}.py)", ""]
        lines.append(f"| the fact | {' | '.join(one.title for one in columns)} |")
        lines.append("|---" * (1 + len(columns)) + "|")
        for fact in (one for one in found if one[0] == module):
            cells = [_escaped(one.seen.get(fact, "not run")) for one in columns]
            lines.append(f"| {_escaped(sentence(fact[1]))} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _escaped(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")


def write(reports: Mapping[str, Path]) -> None:
    """Writes the table from reports, by cluster (as in tests/run.py)."""
    sources = {module: (ROOT / "tests" / "contract" / f"{module}.py").read_text("utf-8") for module in GROUPS}
    columns = [column(path.read_text("utf-8"), cluster) for cluster, path in reports.items()]
    TABLE.write_text(table(facts(sources), columns), "utf-8")
    print(f"Written: {TABLE.relative_to(ROOT)}")
