"""The notebooks as files: shape, committed outputs, and the sanitizer that nbval compares them with. Runs no notebook."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbval.plugin import get_sanitize_patterns

from tests import record

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SANITIZER = ROOT / "tests" / "nbval_sanitize.cfg"
PRACTICE = "06-break-and-mend"  # no lesson of its own, but exercises
MACHINE_PATHS = re.compile(r"/(?:tmp|work|home|root|Users|var/folders|mnt|builds)/\w|[A-Z]:\\\\")

Notebook = Any


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Notebook:
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook: Notebook) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


# --- what a reader meets


def test_has_12_to_20_cells_and_an_exercise_at_its_end(notebook: Notebook) -> None:
    of_exercise = [cell.id for cell in notebook.cells if cell.id.startswith("exercise")]
    assert 12 <= len(notebook.cells) - len(of_exercise) <= 20
    assert not of_exercise or [cell.id for cell in notebook.cells[-3:]] == ["exercise-text", "exercise", "exercise-check"]


def test_first_cell_has_a_title_one_question_and_its_minutes(notebook: Notebook) -> None:
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    assert re.match(r"# \S", first.source)
    assert len(re.findall(r"^\*\*The question:\*\* .*\?$", first.source, re.MULTILINE)) == 1
    assert len(re.findall(r"\*\*\d+ minutes\*\*", first.source)) == 1


def test_the_six_lessons_are_a_90_minute_path() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == ["00", "01", "02", "03", "04", "05", "06"]
    firsts = [nbformat.read(path, as_version=4).cells[0].source for path in NOTEBOOKS[:6]]
    assert sum(int(minutes) for first in firsts for minutes in re.findall(r"\*\*(\d+) minutes\*\*", first)) == 90


def test_what_only_some_clusters_show_is_not_demanded(notebook: Notebook) -> None:
    """What this laptop gets by a node port: a borrowed cluster, or LABS_HOST_PORTS=none, leaves it untried."""
    for cell in code_cells(notebook):
        tree = ast.parse(cell.source)
        asked = {
            target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and 'place="this laptop"' in (ast.get_source_segment(cell.source, node.value) or "")
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for demand in (node.test for node in ast.walk(tree) if isinstance(node, ast.Assert)):
            text = ast.unparse(demand)
            for name in asked:
                assert f"{name}." not in text or f"not {name}.tried" in text, f"{cell.id}: {text}"


def test_asks_for_a_prediction_and_gives_something_to_break_and_mend(notebook: Notebook) -> None:
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "**Predict" in text
    assert re.search(r"\b(?:break|broken|breaks)\b", text, re.IGNORECASE)
    assert re.search(r"\bmend", text, re.IGNORECASE)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_first_code_cell_starts_this_very_lesson(path: Path) -> None:
    first = code_cells(nbformat.read(path, as_version=4))[0]
    begins = r"labs\.exercise\(\)" if path.stem == PRACTICE else rf'lesson = labs\.lesson\("{path.stem}"\)'
    assert re.match(rf"(import \w+\n)+\n{begins}(\n|$)", first.source)


# --- what is committed


def test_every_code_cell_ran_in_order(notebook: Notebook) -> None:
    assert [cell.execution_count for cell in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))


def test_cells_have_fixed_ids_and_no_empty_source(notebook: Notebook) -> None:
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert all(
        re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one) and cell.source.strip()
        for one, cell in zip(ids, notebook.cells, strict=True)
    )


def test_nothing_volatile_is_committed(notebook: Notebook) -> None:
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert all(set(cell.metadata) <= {"tags", "jupyter"} for cell in notebook.cells)
    assert record.WIDGET_VIEW not in json.dumps(notebook)


def test_an_error_is_committed_only_where_it_is_announced_and_asserted(notebook: Notebook) -> None:
    cells = code_cells(notebook)
    for number, cell in enumerate(cells):
        announced = "raises-exception" in tags(cell)
        assert announced or not any(output.output_type == "error" for output in cell.outputs), cell.id
        assert not announced or any("assert" in one.source for one in cells[number : number + 2]), cell.id


def test_a_cell_whose_output_is_not_compared_asserts(notebook: Notebook) -> None:
    for cell in code_cells(notebook):
        assert not {"nbval-skip", "NBVAL_SKIP", "NBVAL_IGNORE_OUTPUT"} & set(tags(cell)), cell.id
        assert "nbval-ignore-output" not in tags(cell) or "assert " in cell.source, cell.id


def test_commands_are_run_by_labs_which_raises_when_they_fail(notebook: Notebook) -> None:
    for cell in code_cells(notebook):
        assert not re.search(r"^\s*[!%]", cell.source, re.MULTILINE), cell.id


def test_outputs_name_no_path_of_the_machine_they_were_recorded_on(notebook: Notebook) -> None:
    for cell in code_cells(notebook):
        assert not MACHINE_PATHS.search(json.dumps(cell.outputs)), cell.id


# --- recording


def a_notebook(source: str, folder: Path) -> Path:
    path = folder / "some.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, id="only")]), path)
    return path


def test_recording_keeps_outputs_in_one_piece_and_nothing_volatile(tmp_path: Path) -> None:
    path = a_notebook("print('a', flush=True)\nprint('b')", tmp_path)
    assert record.main([str(path)]) == 0
    cell = nbformat.read(path, as_version=4).cells[0]
    assert [output.text for output in cell.outputs] == ["a\nb\n"]
    assert (cell.execution_count, cell.metadata) == (1, {})


def test_recording_leaves_a_notebook_alone_whose_run_fails(tmp_path: Path) -> None:
    path = a_notebook("print('half')\nassert False", tmp_path)
    before = path.read_bytes()
    assert record.main([str(path)]) == 1
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_recording_leaves_the_text_beside_a_widget() -> None:
    view = nbformat.v4.new_output("display_data", {record.WIDGET_VIEW: {"model_id": "1"}, "text/plain": "explorer"})
    cell = nbformat.v4.new_code_cell("x", id="x", outputs=[view], metadata={"execution": {}, "tags": ["t"]})
    done = record.cleaned(nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {"state": {}}}))
    assert done.cells[0].outputs[0].data == {"text/plain": "explorer"}
    assert done.cells[0].metadata == {"tags": ["t"]}
    assert set(done.metadata) == {"kernelspec", "language_info"}


# --- the sanitizer


def sanitized(text: str) -> str:
    for regex, replacement in get_sanitize_patterns(SANITIZER.read_text("utf-8")):
        text = re.sub(regex, replacement, text)
    return text


def test_every_rule_of_the_sanitizer_is_read() -> None:
    text = SANITIZER.read_text("utf-8")
    assert text.isascii()  # nbval reads it in the machine's own encoding
    assert len(get_sanitize_patterns(text)) == len(re.findall("^regex:", text, re.MULTILINE)) > 10


HONEST = [
    ("a node", "dev-nftables-worker", "ports-test-iptables-control-plane"),
    ("a node in a sentence", "from ports-control-plane:", "from dev-iptables-worker2:"),
    ("a Pod's address", "curl 10.244.1.7:9080", "curl 10.244.0.12:9080"),
    ("a Service's address", "IP: 10.96.3.7", "IP: 10.111.200.1"),
    ("a node's address", "172.18.0.3:30066", "172.19.0.12:30066"),
    ("a client's port", "10.244.1.3:40512", "10.244.0.9:60001"),
    ("an allocated node port", "9999:31234/TCP", "9999:30965/TCP"),
    ("the laptop's port", "curl 127.0.0.1:30066", "curl 127.0.0.1:31077"),
    ("the laptop's port, any that is free", "curl 127.0.0.1:30066", "curl 127.0.0.1:59279"),
    ("ages", "2/2 Running 0 4s 10.244.0.1", "2/2   Running   0     2m13s   10.244.1.1"),
    ("an age at the end", "pod2 2/2 Running 0 0s\n", "pod2 2/2 Running 0 3m\n"),
    ("restarts", "Error 1 (2s ago) 3s", "Error 2 (1m3s ago) 2m"),
    ("a log's header", "I1123 13:04:58.106527       1 log.go:244] listen", "I0101 03:00:00.000001      17 log.go:250] listen"),
    ("a time stamp", "2026-11-23T13:04:56Z", "2027-01-01T00:00:00Z"),
    ("curl's milliseconds", "port 9999 after 0 ms", "port 9999 after 1031 ms"),
    ("seconds", "in 0.21 s", "in 11.03 s"),
    ("a uid", "2f1c0e4e-aaaa-4bbb-8ccc-0123456789ab", "00000000-aaaa-4bbb-8ccc-0123456789ab"),
    ("a client that was not heard", "answered by pod2, which saw the client 10.244.1.1", "answered by pod2"),
    ("a slice's name", "productpage-g58mf   IPv4   9080", "productpage-zzxx2   IPv4   9080"),
    ("the version of Kubernetes", "control-plane   29m   v1.37.2", "control-plane 29m v1.36.4+k3s1"),
    ("what was mended", "  ●  digits-swapped (mended)\n", "  ●  digits-swapped\n"),
    ("column widths", "NAME   READY   NODE  \npod1   2/2\n", "NAME READY     NODE\npod1 2/2\n"),
    ("kubectl's words", 'pod "pod2" deleted from start-here namespace\n', 'pod "pod2" deleted\n'),
    (
        "a container that is held back",
        "pod3   1/2     CrashLoopBackOff   1 (15s ago)   21s\n",
        "pod3   1/2     Error   1 (3s ago)   7s\n",
    ),
    ("an older kubectl's help", "error: no port\nSee 'kubectl expose -h' for help and examples\n", "error: no port\n"),
    (
        "an older kubectl's description of a Service",
        "Endpoints:         <none>\nEvents:            <none>\nWarning: v1 Endpoints is deprecated in v1.33+; use x\n",
        "Endpoints:                \nInternal Traffic Policy:  Cluster\nEvents:                   <none>\n",
    ),
    (
        "a refused change of a Pod",
        '@@ -1,3 +1,3 @@\n     {\n-     "ContainerPort": 9999,\n+     "ContainerPort": 9080,\n      "HostIP": ""\n',
        '-     "ContainerPort": 9999,\n+     "ContainerPort": 9080,\n',
    ),
    ("the kind of cluster", "on a kind cluster.", "on an embedded cluster."),
    (
        "who held the addresses",
        "The article's addresses (10.97.239.58, node port 30066) can be in one place only: Service x.\nReady",
        "Ready",
    ),
]


@pytest.mark.parametrize(("one", "other"), [pair[1:] for pair in HONEST], ids=[pair[0] for pair in HONEST])
def test_sanitizer_takes_two_honest_runs_for_the_same(one: str, other: str) -> None:
    assert sanitized(one) == sanitized(other)


TOLD_APART = [
    ("ports", "10.244.1.7:9080", "10.244.1.7:9999"),
    ("the article's ClusterIP and another", "10.97.239.58:9999", "10.97.239.59:9999"),
    ("a Pod's and a Service's address", "Endpoints: 10.244.1.7:9080", "Endpoints: 10.97.239.58:9080"),
    ("a Pod's and a node's address", "saw 10.244.1.7", "saw 172.18.0.3"),
    ("addresses and none", "Endpoints: 10.244.1.7:9080", "Endpoints: <none>"),
    ("the article's node port and another", "9999:30066/TCP", "9999:30965/TCP"),
    ("the words", "answered by pod2", "refused"),
    ("a crash and none", "pod3   1/2   Error   1 (3s ago)   7s\n", "pod3   1/2   Running   1 (3s ago)   7s\n"),
    ("internal policies", "Internal Traffic Policy:  Cluster\n", "Internal Traffic Policy:  Local\n"),
    ("warnings", "Warning: v1 Endpoints is deprecated in v1.33+; use x\n", "Warning: unknown field\n"),
    ("which Pod", "answered by pod1", "answered by pod2"),
    ("a port with a name and one without", "9080/TCP (http)", "9080/TCP"),
    ("localhost and the Pod's address", "curl localhost:9080", "curl 10.244.0.1:9080"),
    ("Services", "productpage-x IPv4", "details-x IPv4"),
    ("ready and not", "pod3 1/2 Error", "pod3 2/2 Running"),
    ("numbers of containers and limits", "port 65535", "port 65536"),
]


@pytest.mark.parametrize(("one", "other"), [pair[1:] for pair in TOLD_APART], ids=[pair[0] for pair in TOLD_APART])
def test_sanitizer_leaves_what_lessons_are_about(one: str, other: str) -> None:
    assert sanitized(one) != sanitized(other)
