"""Deployments and ReplicaSets: defaults and validation (pkg/apis/apps/v1/defaults.go, pkg/apis/apps/validation)."""

import re
from typing import Any

from labs.embedded.api import meta, pod_fields, pod_rules, pod_warnings, selectors
from labs.embedded.api.container_rules import NOT_NEGATIVE
from labs.embedded.api.pods import Pods, default_spec
from labs.embedded.api.status import FieldError, forbidden, invalid, not_supported, required
from labs.embedded.api.strategies import Strategy

Object = dict[str, Any]
PERCENT = re.compile("[0-9]+%")
BAD_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation"
    " is '[0-9]+%')"
)


class ReplicaSets(Strategy):
    """What both have: a number, a selector, a template of Pods."""

    def __init__(self, pods: Pods) -> None:
        self.pods = pods

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("replicas") is None:
            spec["replicas"] = 1
        template = spec.setdefault("template", {})
        template.setdefault("metadata", {})
        default_spec(template.setdefault("spec", {}))

    def prepare(self, new: Object, old: Object | None) -> None:
        new["status"] = (old or {}).get("status") or {"replicas": 0}

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        spec, found = new["spec"], []
        for name in ("replicas", "minReadySeconds"):
            if spec.get(name, 0) < 0:
                found.append(invalid(f"spec.{name}", spec[name], NOT_NEGATIVE))
        selector, wrong = spec.get("selector"), _selector_errors(spec.get("selector"))
        found += wrong
        if not wrong or not selector:
            found += self._template(spec, selector)
        if old is not None and selector != old["spec"].get("selector"):
            found.append(invalid("spec.selector", selector, meta.IMMUTABLE))
        return found

    def _template(self, spec: Object, selector: Object | None) -> list[FieldError]:
        template, path = spec["template"], "spec.template"
        labels = template["metadata"].get("labels") or {}
        found = []
        if selector != {} and not selectors.of(selector)(template):
            found.append(invalid(path + ".metadata.labels", labels or None, "`selector` does not match template `labels`"))
        found += meta.labels(labels, path + ".metadata.labels")
        found += meta.annotations(template["metadata"].get("annotations") or {}, path + ".metadata.annotations")
        found += pod_rules.errors(template["spec"], path + ".spec")
        if template["spec"]["restartPolicy"] != "Always":
            found.append(not_supported(path + ".spec.restartPolicy", template["spec"]["restartPolicy"], ["Always"]))
        return found + pod_fields.errors(template["spec"], path + ".spec")

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        return pod_warnings.warnings(new["spec"]["template"]["spec"], "spec.template.spec")


class Deployments(ReplicaSets):
    """And how one set of Pods is replaced by the next."""

    def default(self, obj: Object) -> None:
        super().default(obj)
        spec = obj["spec"]
        strategy = spec.setdefault("strategy", {})
        strategy.setdefault("type", "RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", "25%")
            rolling.setdefault("maxSurge", "25%")
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("progressDeadlineSeconds", 600)

    def prepare(self, new: Object, old: Object | None) -> None:
        new["status"] = (old or {}).get("status") or {}

    def validate(self, new: Object, old: Object | None) -> list[FieldError]:
        spec, found = new["spec"], super().validate(new, old)
        found += _strategy_errors(spec["strategy"], "spec.strategy")
        for name in ("revisionHistoryLimit", "progressDeadlineSeconds"):
            if spec[name] < 0:
                found.append(invalid(f"spec.{name}", spec[name], NOT_NEGATIVE))
        if spec["progressDeadlineSeconds"] <= spec.get("minReadySeconds", 0):
            why = "must be greater than minReadySeconds"
            found.append(invalid("spec.progressDeadlineSeconds", spec["progressDeadlineSeconds"], why))
        return found


def _selector_errors(selector: Object | None) -> list[FieldError]:
    """What is wrong with a selector; one that is empty, or is not there, is told and is none the less one."""
    path = "spec.selector"
    if selector is None:
        return [required(path)]
    if not (selector.get("matchLabels") or selector.get("matchExpressions")):
        return [invalid(path, selector, "empty selector is invalid for deployment")]  # of ReplicaSets, too
    found = meta.labels(selector.get("matchLabels") or {}, path + ".matchLabels") + selectors.errors(selector, path)
    if found:
        found.append(invalid(path, selector, "invalid label selector"))
    return found


def _strategy_errors(strategy: Object, path: str) -> list[FieldError]:
    kind, rolling = strategy["type"], strategy.get("rollingUpdate") or {}
    if kind == "Recreate":
        why = "may not be specified when strategy `type` is 'Recreate'"
        return [forbidden(path + ".rollingUpdate", why)] if "rollingUpdate" in strategy else []
    if kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": strategy.get("rollingUpdate")}  # as Go prints it
        return [not_supported(path, shown, ["Recreate", "RollingUpdate"])]
    found: list[FieldError] = []
    path += ".rollingUpdate"
    for name in ("maxUnavailable", "maxSurge"):
        given = rolling[name]
        if isinstance(given, int) and given < 0:
            found.append(invalid(f"{path}.{name}", given, NOT_NEGATIVE))
        elif isinstance(given, str) and not PERCENT.fullmatch(given):
            found.append(invalid(f"{path}.{name}", given, BAD_PERCENT))
    if not _amount(rolling["maxUnavailable"]) and not _amount(rolling["maxSurge"]):
        found.append(invalid(path + ".maxUnavailable", rolling["maxUnavailable"], "may not be 0 when `maxSurge` is 0"))
    if isinstance(rolling["maxUnavailable"], str) and _amount(rolling["maxUnavailable"]) > 100:
        found.append(invalid(path + ".maxUnavailable", rolling["maxUnavailable"], "must not be greater than 100%"))
    return found


def _amount(given: int | str) -> int:
    """The number of a number or a percentage; 0 of any other text."""
    if isinstance(given, int):
        return given
    return min(int(given[:-1]), 2**31) if PERCENT.fullmatch(given) and len(given) < 20 else 0
