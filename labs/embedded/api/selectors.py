"""Label and field selectors: texts in, predicates out (apimachinery's pkg/labels and pkg/fields). Only computes."""

import re
from collections.abc import Callable
from typing import Any

from labs.embedded.api.gotext import parse_int, quote
from labs.embedded.api.meta import label_value_errors, qualified_name_errors
from labs.embedded.api.status import FieldError, Refused, all_errors, bad_request, forbidden, invalid, required

Object = dict[str, Any]
Test = Callable[[Object], bool]
# Fields of each resource that selectors may name, beside metadata.name and metadata.namespace (pkg/apis/*/v1/conversion.go).
SELECTABLE: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName",
    ),
    "services": ("spec.clusterIP", "spec.type"),
    "nodes": ("spec.unschedulable",),
    "namespaces": ("status.phase",),
    "secrets": ("type",),
    "replicasets": ("status.replicas",),
    "events": (
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
        "reportingComponent", "source", "type",
    ),
}  # fmt: skip
_TOKEN = re.compile(r"\s*(!=|==|=|!|,|\(|\)|>|<|[^\s=!,()<>]+)")


def labels(text: str) -> Test:
    """A label selector's text as a test of objects. Raises Refused (400)."""
    if not text.strip():
        return lambda obj: True
    tests = _Labels(text).requirements()
    return lambda obj: all(test(obj["metadata"].get("labels") or {}) for test in tests)


def fields(text: str, resource: str) -> Test:
    """A field selector's text as a test of objects. Raises Refused (400)."""
    terms = [_term(one, resource) for one in re.split(r"(?<!\\),", text) if one]
    return lambda obj: all((str(_field(obj, path)) == value) == same for path, value, same in terms)


def _term(text: str, resource: str) -> tuple[str, str, bool]:
    found = re.match(r"(.*?)(!=|==|=)(.*)$", text, re.DOTALL)
    if not found:
        raise bad_request(f"invalid selector: '{text}'; can't understand '{text}'")
    path, value = found[1], _unescaped(found[3])
    known = ("metadata.name", "metadata.namespace")
    if path in (*known, *SELECTABLE.get(resource, ())):
        return path, value, found[2] != "!="
    if resource in SELECTABLE:
        raise bad_request(f"field label not supported: {path}")
    raise bad_request(f'{quote(path)} is not a known field selector: only "metadata.name", "metadata.namespace"')


def _unescaped(text: str) -> str:
    """A value as it was meant: `\\`, `\\,` and `\\=` stand for one letter each. Raises Refused (400)."""
    start = "invalid field selector: "
    for part in re.findall(r"\\.?|[=,]", text, re.DOTALL):
        if part in ("=", ","):
            raise bad_request(f"{start}unescaped character in value: {ord(part)}")
        if part[1:] not in ("\\", ",", "="):
            raise bad_request(f"{start}invalid escape sequence: {part}")
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _field(obj: Object, path: str) -> Any:
    value: Any = obj
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if path == "source" and isinstance(value, dict):
        return value.get("component") or obj.get("reportingComponent") or ""
    if path in ("spec.hostNetwork", "spec.unschedulable"):
        return "true" if value else "false"
    return "" if value is None else value


def errors(selector: Object, path: str) -> list[FieldError]:
    """What is wrong with a LabelSelector object (apimachinery's ValidateLabelSelector), but for its matchLabels."""
    found: list[FieldError] = []
    for index, one in enumerate(selector.get("matchExpressions") or []):
        here, operator, values = f"{path}.matchExpressions[{index}]", one["operator"], one.get("values") or []
        if operator in ("In", "NotIn") and not values:
            found.append(required(here + ".values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif operator in ("Exists", "DoesNotExist") and values:
            found.append(forbidden(here + ".values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
        elif operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            found.append(invalid(here + ".operator", operator, "not a valid selector operator"))
        key = one["key"]
        found += [invalid(here + ".key", key, why) for why in qualified_name_errors(key)]
        for at, value in enumerate(values):
            found += [invalid(f"{here}.values[{at}]", value, why) for why in label_value_errors(value)]
    return found


def of(selector: Object | None) -> Test:
    """A LabelSelector object (matchLabels, matchExpressions) as a test; none matches nothing."""
    if selector is None:
        return lambda obj: False
    wanted = [(key, "In", [value]) for key, value in (selector.get("matchLabels") or {}).items()]
    wanted += [(one["key"], one["operator"], one.get("values") or []) for one in selector.get("matchExpressions") or []]

    def test(obj: Object) -> bool:
        has = obj["metadata"].get("labels") or {}
        return all(_matches(has, *one) for one in wanted)

    return test


def _matches(has: dict[str, str], key: str, operator: str, values: list[str]) -> bool:
    if operator in ("Exists", "DoesNotExist"):
        return (key in has) == (operator == "Exists")
    if operator == "In":
        return key in has and has[key] in values
    return key not in has or has[key] not in values


class _Labels:
    """The grammar of label selectors: a, !a, a=b, a!=b, a in (b,c), a notin (b,c), a>1, a<1, with commas."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        self.at = 0

    def requirements(self) -> list[Callable[[dict[str, str]], bool]]:
        found = [self.requirement()]
        while (token := self.next()) == ",":
            if self.peek() in ("", ","):
                raise bad_request(f"found '{self.peek()}', expected: identifier after ','")
            found.append(self.requirement())
        if token:
            raise _unparsed(f"found '{token}', expected: ',' or 'end of string'")
        return found

    def requirement(self) -> Callable[[dict[str, str]], bool]:
        absent = self.peek() == "!"
        if absent:
            self.next()
        key = self.word("identifier")
        if absent or self.peek() in ("", ","):
            _check(key, [])
            return lambda has: (key in has) != absent
        operator = self.next()
        if operator in ("=", "==", "!="):
            value = self.word("identifier") if self.peek() not in ("", ",") else ""
            _check(key, [value])
            return (lambda has: has.get(key) == value) if operator != "!=" else (lambda has: has.get(key) != value)
        if operator in ("in", "notin"):
            values = self.values()
            _check(key, sorted(set(values)))
            return lambda has: _matches(has, key, {"in": "In", "notin": "NotIn"}[operator], values)
        if operator in (">", "<"):
            number = self.word("identifier") if self.peek() not in ("", ",") else ""
            wanted = _whole(number)
            why = "for 'Gt', 'Lt' operators, the value must be an integer"
            _check(key, [number], [invalid("values[0]", number, why)] if wanted is None else [])
            return lambda has: _compares(has.get(key), operator, wanted or 0)
        raise _unparsed(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")

    def values(self) -> list[str]:
        if (token := self.next()) != "(":
            raise _unparsed(f"found '{token}' expected: '('")
        found, last = [], "("
        while (token := self.next()) != ")":
            if token == "":
                raise _unparsed("found '', expected: ',' or ')'")
            if token == "," and last in ("(", ","):
                found.append("")
            elif token != ",":
                found.append(token)
            last = token
        if last in (",", "("):
            found.append("")
        return found

    def word(self, expected: str) -> str:
        token = self.next()
        if not token or token in "=!,()<>" or token in ("==", "!="):
            raise _unparsed(f"found '{token}', expected: {expected}")
        return token

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def next(self) -> str:
        token = self.peek()
        self.at += 1
        return token


def _whole(text: str | None) -> int | None:
    try:
        return parse_int(text or "")
    except ValueError:
        return None


def _compares(value: str | None, operator: str, number: int) -> bool:
    given = _whole(value)
    if given is None:
        return False
    return given > number if operator == ">" else given < number


def _check(key: str, values: list[str], wrong: list[FieldError] | None = None) -> None:
    """Raises Refused (400) for a key that is none, and for values that no label can have. wrong: errors known already."""
    errors = [invalid("<nil>", key, "; ".join(whys))] if (whys := qualified_name_errors(key)) else []
    errors += wrong or []
    for at, value in enumerate(values):
        if whys := label_value_errors(value):
            errors.append(invalid(f"values[{at}][{key}]", value, "; ".join(whys)))
    if errors:
        raise _unparsed(all_errors(errors))


def _unparsed(why: str) -> Refused:
    return bad_request(f"unable to parse requirement: {why}")
