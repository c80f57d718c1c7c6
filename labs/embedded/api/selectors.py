"""Label and field selectors: texts in, predicates out (apimachinery's pkg/labels and pkg/fields). Only computes."""

import re
from collections.abc import Callable
from typing import Any

from labs.embedded.api.status import Refused, bad_request

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
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DNS = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
BAD_NAME = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    " (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
BAD_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with"
    " an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


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
    path = found[1]
    if path not in ("metadata.name", "metadata.namespace", *SELECTABLE.get(resource, ())):
        raise bad_request(f"field label not supported: {path}")
    return path, re.sub(r"\\([\\,=])", r"\1", found[3]), found[2] != "!="


def _field(obj: Object, path: str) -> Any:
    value: Any = obj
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if path == "source" and isinstance(value, dict):
        return value.get("component") or obj.get("reportingComponent") or ""
    if path in ("spec.hostNetwork", "spec.unschedulable"):
        return "true" if value else "false"
    return "" if value is None else value


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
        _check_key(key)
        if absent or self.peek() in ("", ","):
            return lambda has: (key in has) != absent
        operator = self.next()
        if operator in ("=", "==", "!="):
            value = self.word("identifier") if self.peek() not in ("", ",") else ""
            _check_value(key, value)
            return (lambda has: has.get(key) == value) if operator != "!=" else (lambda has: has.get(key) != value)
        if operator in ("in", "notin"):
            values = self.values()
            for value in values:
                _check_value(key, value)
            return lambda has: _matches(has, key, {"in": "In", "notin": "NotIn"}[operator], values)
        if operator in (">", "<"):
            number = self.word("identifier") if self.peek() not in ("", ",") else ""
            if not re.fullmatch(r"-?\d+", number):
                why = "for 'Gt', 'Lt' operators, the value must be an integer"
                raise _unparsed(f'values[0]: Invalid value: "{number}": {why}')
            return lambda has: _compares(has.get(key), operator, int(number))
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


def _compares(value: str | None, operator: str, number: int) -> bool:
    if value is None or not re.fullmatch(r"-?\d+", value):
        return False
    return int(value) > number if operator == ">" else int(value) < number


def _check_key(key: str) -> None:
    prefix, _, name = key.rpartition("/")
    if not _NAME.fullmatch(name) or (prefix and not _DNS.fullmatch(prefix)):
        raise bad_request(f'unable to parse requirement: <nil>: Invalid value: "{key}": {BAD_NAME}')


def _check_value(key: str, value: str) -> None:
    if value and not _NAME.fullmatch(value):
        raise bad_request(f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}": {BAD_VALUE}')


def _unparsed(why: str) -> Refused:
    return bad_request(f"unable to parse requirement: {why}")
