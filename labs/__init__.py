"""Kubernetes ports, live: the few names that notebooks import.

Each is imported when it is first asked for, so that `python -m labs status` does not wait for pandas.
"""

import importlib
from typing import Any

from labs.errors import LabError

_FROM = {
    "connect": "notebook",
    "exercise": "practice",
    "explorer": "notebook",
    "lesson": "notebook",
    "predict": "notebook",
    "surprise": "practice",
}
__all__ = ["LabError", "connect", "exercise", "explorer", "lesson", "predict", "surprise"]


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module 'labs' has no attribute {name!r}")
    return getattr(importlib.import_module(f"labs.{_FROM[name]}"), name)
