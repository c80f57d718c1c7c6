"""Sends requests to an API server and makes its answers comparable: what differs from one run to the next is left out.

`python -m tests.embedded_api_asking URL` sends all stories to the API at URL (`kubectl proxy` before a real cluster that has a
namespace `recorded` of its own) and writes down what it answered.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import requests

from tests.embedded_api_stories import Step, stories

RECORDED = Path(__file__).with_name("test_embedded_api_recorded.json")
LEFT_OUT = {"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "remainingItemCount"}
HIDDEN = (  # what differs from one run to the next
    (re.compile(r'"10\.(96|97|98|99|10\d|11[01])\.\d+\.\d+'), '"ADDRESS'),
    (re.compile(r'\[\\+"10\.(96|97|98|99|10\d|11[01])\.\d+\.\d+'), "[ADDRESS"),
    (re.compile(r'"(healthCheckNodePort|nodePort)": 3\d{4}'), r'"\1": "PORT"'),
    (re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r"kube-api-access-\w{5}"), "ACCESS"),
    (
        re.compile(r'Invalid value: (\\+")\{(?:\\)+"apiVersion.*?\}\1: '),
        "Invalid value: OBJECT: ",
    ),  # a patched one, with all its fields
)


def send(base: str, step: Step, headers: dict[str, str]) -> str:
    """Sends one request; gives status, body and warnings as comparable text."""
    method, path, body, *rest = step
    media, more = [*rest, *["application/json", {}][len(rest) :]]
    data = body.encode() if isinstance(body, str) else json.dumps(body) if body is not None else None
    headers = {"Content-Type": media, "Accept": "application/json", **more, **headers}
    answer = requests.request(method, base + path, data=data, headers=headers, timeout=30)
    try:
        said = _plain(answer.json())
    except ValueError:
        said = answer.text
    warnings = answer.headers.get("Warning", "")
    text = json.dumps([answer.status_code, said, warnings], sort_keys=True)
    for pattern, instead in HIDDEN:
        text = pattern.sub(instead, text)
    return text


def _plain(said: Any) -> Any:
    if isinstance(said, dict):
        return {name: _plain(value) for name, value in said.items() if name not in LEFT_OUT}
    return [_plain(one) for one in said] if isinstance(said, list) else said


def main(base: str) -> None:
    """Records."""
    found = {name: [[step, json.loads(send(base, step, {}))] for step in steps] for name, steps in stories().items()}
    version = requests.get(base + "/version", timeout=30).json()["gitVersion"]
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(steps)}" for name, steps in found.items())
    RECORDED.write_text(f'{{"version": {json.dumps(version)}, "stories": {{\n{lines}\n}}}}\n', encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
