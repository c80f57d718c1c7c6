"""The table of the article's blocks (article.yaml): complete, and each counterpart's committed output shows what is claimed.

Runs no notebook: that a new run gives the same output, or asserts the same, is nbval's to check.
"""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
TABLE = yaml.safe_load((Path(__file__).parent / "article.yaml").read_text("utf-8"))
COUNTERPARTS = [(entry, counterpart) for entry in TABLE for counterpart in entry["counterparts"]]

# What the article consists of, in its order: the first line of each of its eight fenced blocks, and of its one table.
FENCED = {
    "get-pod": "$ k get pod -owide",
    "curl-pod": "#可以访问容器内应用",
    "service-yaml": "apiVersion: v1",
    "describe-9999": "k describe svc productpage",
    "describe-9080": "k describe svc productpage",
    "curl-cluster-ip": "# clusterIP:port",
    "node-port-service": "$ k get svc -owide",
    "curl-localhost": "#hostIP:nodeport",
    "closing-table": "| 方式             | 范围                |",
}


def output(notebook: str, cell_id: str) -> str:
    """What a cell's committed output says, text and tables; fails the test where there is no such code cell."""
    cells = nbformat.read(NOTEBOOKS / f"{notebook}.ipynb", as_version=4).cells
    (cell,) = [one for one in cells if one.id == cell_id and one.cell_type == "code"]
    return "".join(part for one in cell.outputs for part in _texts(one))


def _texts(output: Any) -> list[str]:
    data = output.get("data", {})
    return [output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")]


def test_every_block_of_the_article_is_listed_in_its_order() -> None:
    listed = {entry["block"]: entry["quote"].splitlines()[0] for entry in TABLE if entry["kind"] != "statement"}
    assert list(listed.items()) == list(FENCED.items())
    assert len({entry["block"] for entry in TABLE}) == len(TABLE)


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry["block"])
def test_an_entry_is_whole(entry: dict[str, Any]) -> None:
    assert set(entry) == {"block", "kind", "section", "quote", "verdict", "why", "counterparts"}
    assert entry["kind"] in ("command", "output", "command and output", "manifest", "table", "statement")
    assert entry["section"] in ("containerPort", "targetPort", "Port", "nodePort")
    assert entry["verdict"] in ("same", "differs", "wrong")
    assert entry["quote"].strip() and entry["why"].strip() and entry["counterparts"]


@pytest.mark.parametrize(
    ("entry", "counterpart"), COUNTERPARTS, ids=[f"{e['block']}-in-{c['notebook']}-{c['cell']}" for e, c in COUNTERPARTS]
)
def test_its_counterpart_shows_it(entry: dict[str, Any], counterpart: dict[str, Any]) -> None:
    said = output(counterpart["notebook"], counterpart["cell"])
    assert counterpart["shows"]
    for regex in counterpart["shows"]:
        assert re.search(regex, said), f"{counterpart['notebook']}, cell {counterpart['cell']}, shows no {regex!r}:\n{said}"
