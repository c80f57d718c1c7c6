"""Deployments and ReplicaSets: defaults and validation (pkg/apis/apps/v1/defaults.go, pkg/apis/apps/validation)."""

from typing import Any

from labs.embedded.api import meta, pod_fields, pod_rules, pod_warnings
from labs.embedded.api.pods import Pods, default_spec
from labs.embedded.api.selectors import of
from labs.embedded.api.status import FieldError, forbidden, invalid, not_supported, required
from labs.embedded.api.strategies import Strategy

Object = dict[str, Any]


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
        if spec["replicas"] < 0:
            found.append(invalid("spec.replicas", spec["replicas"], "must be greater than or equal to 0"))
        selector = spec.get("selector")
        if selector is None:
            found.append(required("spec.selector"))
        elif not (selector.get("matchLabels") or selector.get("matchExpressions")):
            found.append(invalid("spec.selector", selector, f"empty selector is invalid for {new['kind'].lower()}"))
        else:
            found += meta.labels(selector.get("matchLabels") or {}, "spec.selector.matchLabels")
        found += self._template(spec, selector)
        if old is not None and selector != old["spec"].get("selector"):
            found.append(invalid("spec.selector", selector, meta.IMMUTABLE))
        return found

    def _template(self, spec: Object, selector: Object | None) -> list[FieldError]:
        template, path = spec["template"], "spec.template"
        labels = template["metadata"].get("labels") or {}
        found = []
        if selector != {} and not of(selector)(template):
            found.append(invalid(path + ".metadata.labels", labels or None, "`selector` does not match template `labels`"))
        found += meta.labels(labels, path + ".metadata.labels")
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
        found = super().validate(new, old)
        strategy = new["spec"]["strategy"]
        if strategy["type"] not in ("Recreate", "RollingUpdate"):
            shown = {"Type": strategy["type"], "RollingUpdate": strategy.get("rollingUpdate")}  # as Go prints it
            found.append(not_supported("spec.strategy", shown, ["Recreate", "RollingUpdate"]))
        elif strategy["type"] == "Recreate" and strategy.get("rollingUpdate"):
            found.append(forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'"))
        return found
