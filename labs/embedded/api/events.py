"""Events under their two names: stored as v1, given as events.k8s.io/v1 where they are asked for there. Only computes."""

from typing import Any

Object = dict[str, Any]
EVENTS_GROUP = "events.k8s.io"
# events.k8s.io's name of a field, and v1's.
NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_BACK = {core: new for new, core in NAMES.items()}


def to_core(obj: Object) -> Object:
    """An event of events.k8s.io/v1 as one of v1."""
    return {**{NAMES.get(name, name): value for name, value in obj.items()}, "apiVersion": "v1"}


def from_core(obj: Object) -> Object:
    """An event of v1 as one of events.k8s.io/v1."""
    made = {_BACK.get(name, name): value for name, value in obj.items()}
    return {**{name: value for name, value in made.items() if value != ""}, "apiVersion": f"{EVENTS_GROUP}/v1"}
