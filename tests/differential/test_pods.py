"""Made-up requests about Pods to a real API server and to the embedded one: verdict, words, defaults, warnings.

Of the fields that are served (labs/embedded/api/pod_fields.py), right and wrong values. No scheduler looks after these Pods,
so that nothing but the API is asked. LABS_DIFFERENTIAL_EXAMPLES, LABS_DIFFERENTIAL_FRESH: as in test_services.py.
"""

import json
from typing import Any

import requests
from hypothesis import given
from hypothesis import strategies as st

from tests.differential.asking import NAMESPACE, PODS, asked, asked_embedded, examples
from tests.differential.pods_sent import BASE, CHANGES, LABELS, MAIN, SECOND, VALUES, turned
from tests.embedded_api_stories import MERGE, PATCH, STRATEGIC, Step
from tests.embedded_world import world

Object = dict[str, Any]

# --- what is sent

names = st.sampled_from(["a", "a", "b"])
levels = st.sampled_from(["", "", "", "?fieldValidation=Strict", "?fieldValidation=Ignore", "?dryRun=All"])
graces = st.sampled_from(["", "", "?gracePeriodSeconds=0", "?gracePeriodSeconds=5", "?gracePeriodSeconds=-1", "?dryRun=All"])
turns = st.sampled_from(sorted(VALUES)).flatmap(lambda path: st.tuples(st.just(path), st.sampled_from(VALUES[path])))
changes = st.sampled_from(sorted(CHANGES)).flatmap(lambda path: st.tuples(st.just(path), st.sampled_from(CHANGES[path])))


@st.composite
def steps(draw: Any) -> Step:
    """One request about a Pod."""
    name = draw(names)
    path = f"{PODS}/{name}"
    kind = draw(
        st.sampled_from(["create", "create", "create", "create", "put", "merge", "strategic", "json", "delete", "label"])
    )
    if kind == "delete":
        return ["DELETE", path + draw(graces), None]
    if kind == "label":
        metadata = {"labels": draw(st.sampled_from(LABELS)), "annotations": draw(st.sampled_from(LABELS))}
        return ["PATCH", path, {"metadata": metadata}, draw(st.sampled_from([MERGE, STRATEGIC]))]
    query = draw(levels)
    if kind == "create":
        spec = BASE
        for where, value in draw(st.lists(turns, max_size=3)):
            spec = turned(spec, where, value)
        metadata = {"name": name, **({"labels": draw(st.sampled_from(LABELS))} if draw(st.integers(0, 4)) == 0 else {})}
        return ["POST", PODS + query, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}]
    where, value = draw(changes)
    if kind == "put":
        return [
            "PUT",
            path + query,
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": turned(BASE, where, value)},
        ]
    if kind == "json":
        place = "/spec/" + where.replace(".", "/")
        return [
            "PATCH",
            path,
            [{"op": draw(st.sampled_from(["add", "replace", "remove"])), "path": place, "value": value}],
            PATCH,
        ]
    if kind == "merge":
        return ["PATCH", path + query, {"spec": turned({}, where, value)}, MERGE]
    where = where.replace(SECOND, MAIN)
    named: Object = {"containers": [{"name": "main"}]} if where.startswith(f"{MAIN}.") else {}
    return ["PATCH", path + query, {"spec": turned(named, where, value)}, STRATEGIC]


# --- where it is sent


@examples(120)
@given(story=st.lists(steps(), min_size=1, max_size=6))
def test_pods(real: str, story: list[Step]) -> None:
    for name in "ab":
        requests.delete(f"{real}{PODS}/{name}?gracePeriodSeconds=0", timeout=30)
    with world(NAMESPACE) as embedded:
        for step in story:
            assert asked_embedded(embedded.base, step) == asked(real, step), json.dumps(step)
