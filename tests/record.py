"""Runs notebooks on the course's cluster and writes what came out into them: `python -m tests.record NOTEBOOK...`.

A notebook whose run failed is not written. What changes from run to run and says nothing (times of execution, widget
state, the Python version) is left out. Does not compare (nbval does) or judge the text (tests/test_notebooks.py does).
"""

import argparse
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

CELL_LIMIT = 120  # seconds, the same as nbval's in `make notebooks`
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def run(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Runs every cell, in a kernel whose folder is the notebook's, as Jupyter and nbval do. Raises what nbclient raises."""
    client = NotebookClient(
        notebook, timeout=CELL_LIMIT, kernel_name="python3", resources={"metadata": {"path": str(folder)}}, record_timing=False
    )
    done: NotebookNode = client.execute()
    return done


def cleaned(notebook: NotebookNode) -> NotebookNode:
    """The same notebook with nothing in it that changes from run to run and says nothing."""
    notebook.metadata = NotebookNode(kernelspec=NotebookNode(KERNEL), language_info=NotebookNode(name="python"))
    for cell in notebook.cells:
        cell.metadata = NotebookNode({key: value for key, value in cell.metadata.items() if key in ("tags", "jupyter")})
        if cell.cell_type == "code":
            cell.outputs = _joined([_without_view(output) for output in cell.outputs])
    return notebook


def _without_view(output: NotebookNode) -> NotebookNode:
    """A widget leaves only the text beside it: its view is a random id of a kernel that has ended."""
    if "data" in output:
        output.data.pop(WIDGET_VIEW, None)
        output.metadata = NotebookNode()
    return output


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Neighbouring pieces of one stream in one: where they break is chance."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last is not None and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        elif output.output_type == "stream" or output.get("data") or output.output_type == "error":
            joined.append(output)
    return joined


def record(path: Path) -> str:
    """Runs a notebook and writes it back. Returns "" or why its run failed; then the file stays as it was."""
    notebook = nbformat.read(path, as_version=4)
    try:
        done = run(notebook, path.resolve().parent)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        return str(error)
    new = path.with_suffix(".ipynb.new")
    nbformat.write(cleaned(done), new)
    os.replace(new, path)
    return ""


def main(arguments: list[str] | None = None) -> int:
    """Records each notebook; 1 if the run of one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.record", description="Run notebooks and keep their outputs.")
    parser.add_argument("notebook", nargs="+", type=Path)
    failed = 0
    for path in parser.parse_args(arguments).notebook:
        why = record(path)
        failed += bool(why)
        print(f"{path.name}: {'not written, its run failed' if why else 'recorded'}", flush=True)
        if why:
            print(why, file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
