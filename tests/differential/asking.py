"""What the differential tests have in common: where they write, how many examples they make, and what cannot be compared."""

import json
import os
import re
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings

from tests import embedded_api_asking as api
from tests.embedded_api_stories import Step
from tests.embedded_world import TOKEN

NAMESPACE = "labs-differential"
PLACE = f"/api/v1/namespaces/{NAMESPACE}"
SERVICES, PODS = PLACE + "/services", PLACE + "/pods"
Answer = list[Any]  # status, body, warnings


def examples(number: int) -> Callable[[Any], Any]:
    """How a test is run: the same examples each time, others with LABS_DIFFERENTIAL_FRESH=1."""
    chosen: Callable[[Any], Any] = settings(
        max_examples=int(os.environ.get("LABS_DIFFERENTIAL_EXAMPLES", str(number))),
        deadline=None,
        database=None,
        derandomize=os.environ.get("LABS_DIFFERENTIAL_FRESH") != "1",
        print_blob=True,
        phases=[Phase.explicit, Phase.generate],  # a story that failed is shown as it is: to make it shorter takes minutes
        suppress_health_check=list(HealthCheck),
    )
    return chosen


def asked(base: str, step: Step) -> Answer:
    """What a real server answers, comparable."""
    return comparable(api.send(base, step, {}))


def asked_embedded(base: str, step: Step) -> Answer:
    """The same of the embedded one."""
    return comparable(api.send(base, step, {"Authorization": f"Bearer {TOKEN}"}))


def comparable(text: str) -> Answer:
    """Without what differs from one server to the next: a changed object in full, which port is free."""
    code, said, warnings = json.loads(text)
    if isinstance(said, dict) and said.get("status") == "Failure":
        for cause in (said.get("details") or {}).get("causes", []):
            cause["message"] = _plain(cause["message"], cause.get("field") == "patch")
        said["message"] = _plain(said["message"], "patch: Invalid value" in said["message"])
    return [code, said, warnings]


def _plain(words: str, patched: bool) -> str:
    if patched:  # a patched object in full
        words = re.sub(r'Invalid value: ".*": ', "Invalid value: …: ", words)
    words = re.sub(r"failed to allocate requested HealthCheck NodePort.*", "…", words)
    words = re.sub(r"(Forbidden: pod updates may not change fields[^\n]*)\n.*", r"\1 …", words, flags=re.DOTALL)
    return words
