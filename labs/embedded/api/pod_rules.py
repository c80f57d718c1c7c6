"""What is wrong with a Pod: of the real API server's validation, what concerns the served fields. Only computes.

Source: ValidatePodSpec of pkg/apis/core/validation/validation.go, in its order. Containers and volumes have files of their
own; what is not refused, but warned of, is in pod_warnings.py.
"""

import difflib
import json
import re
from typing import Any

from labs.embedded.api import container_rules, meta, volume_rules
from labs.embedded.api.container_rules import NOT_NEGATIVE, seccomp_errors, user_errors
from labs.embedded.api.service_rules import address_errors
from labs.embedded.api.status import FieldError, duplicate, forbidden, invalid, not_supported, required

Object = dict[str, Any]
RESTART = ["Always", "OnFailure", "Never"]
DNS = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]
SYSTEMS = ["linux", "windows"]
EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
NAMESERVERS, SEARCHES, SEARCH_LETTERS = 3, 32, 2048  # at most, of a dnsConfig
SYSCTL = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
_SEARCH = re.compile(r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*")
BAD_SEARCH = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end"
    f" with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SEARCH.pattern}')"
)


def errors(spec: Object, path: str) -> list[FieldError]:
    """All that is wrong with a PodSpec."""
    found, volumes = volume_rules.errors(spec, path)
    found += container_rules.errors(spec, path, volumes)
    if spec["restartPolicy"] not in RESTART:
        found.append(not_supported(path + ".restartPolicy", spec["restartPolicy"], RESTART))
    if spec["dnsPolicy"] not in DNS:
        found.append(not_supported(path + ".dnsPolicy", spec["dnsPolicy"], DNS))
    found += meta.labels(spec.get("nodeSelector") or {}, path + ".nodeSelector")
    found += _security(spec, path) + _dns(spec, path + ".dnsConfig")
    for name in ("serviceAccountName", "nodeName"):
        if given := spec.get(name):
            found += [invalid(f"{path}.{name}", given, one) for one in meta.subdomain_errors(given)]
    for name in ("hostname", "subdomain"):
        if given := spec.get(name):
            found += [invalid(f"{path}.{name}", given, one) for one in meta.label_errors(given)]
    found += _tolerations(spec, path) + _aliases(spec, path)
    system = spec.get("os")
    if system is not None and system.get("name") not in SYSTEMS:
        name = system.get("name", "")
        found.append(not_supported(path + ".os", name, SYSTEMS) if name else required(path + ".os.name"))
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        found.append(invalid(path + ".terminationGracePeriodSeconds", spec["terminationGracePeriodSeconds"], NOT_NEGATIVE))
    return found


def _security(spec: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    context, here = spec.get("securityContext") or {}, path + ".securityContext"
    for part in ("containers", "initContainers") if spec.get("hostNetwork") else ():
        for index, one in enumerate(spec.get(part) or []):
            for at, port in enumerate(one.get("ports") or []):
                if port.get("hostPort", 0) != port.get("containerPort", 0):
                    why = "must match `containerPort` when `hostNetwork` is true"
                    found.append(invalid(f"{path}.{part}[{index}].ports[{at}].hostPort", port.get("hostPort", 0), why))
    found += user_errors(context, here, "fsGroup", "runAsUser", "runAsGroup")
    names: set[str] = set()
    for index, one in enumerate(context.get("sysctls") or []):
        place, name = f"{here}.sysctls[{index}].name", one.get("name", "")
        if not name:
            found.append(required(place))
        elif len(name) > 253 or not re.fullmatch(SYSCTL, name):
            found.append(invalid(place, name, f"must have at most 253 characters and match regex {SYSCTL}"))
        elif name in names:
            found.append(duplicate(place, name))
        if spec.get("hostNetwork") and name.replace("/", ".").startswith("net."):
            found.append(invalid(place, name, "may not be specified when 'hostNetwork' is true"))
        names.add(name)
    return found + seccomp_errors(context, here)


def _dns(spec: Object, path: str) -> list[FieldError]:
    given = spec.get("dnsConfig")
    if spec["dnsPolicy"] == "None" and given is None:
        return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
    servers, searches = (list((given or {}).get(name) or []) for name in ("nameservers", "searches"))
    if spec["dnsPolicy"] == "None" and not servers:
        return [required(path + ".nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")]
    found: list[FieldError] = []
    if len(servers) > NAMESERVERS:
        found.append(invalid(path + ".nameservers", servers, f"must not have more than {NAMESERVERS} nameservers"))
    for index, server in enumerate(servers):
        found += address_errors(f"{path}.nameservers[{index}]", server, None)
    if len(searches) > SEARCHES:
        found.append(invalid(path + ".searches", searches, f"must not have more than {SEARCHES} search paths"))
    if len(" ".join(searches)) > SEARCH_LETTERS:
        why = f"must not have more than {SEARCH_LETTERS} characters (including spaces) in the search list"
        found.append(invalid(path + ".searches", searches, why))
    for index, search in enumerate(searches):
        name = search.removesuffix(".")
        if search != "." and not _SEARCH.fullmatch(name):
            found.append(invalid(f"{path}.searches[{index}]", name, BAD_SEARCH))
    for index, option in enumerate((given or {}).get("options") or []):
        if not option.get("name"):
            found.append(required(f"{path}.options[{index}]", "must not be empty"))
    return found


def _tolerations(spec: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for index, one in enumerate(spec.get("tolerations") or []):
        here = f"{path}.tolerations[{index}]"
        key, operator, effect, value = (one.get(name, "") for name in ("key", "operator", "effect", "value"))
        if key:
            found += [invalid(here + ".key", key, why) for why in meta.qualified_name_errors(key)]
        elif operator != "Exists":
            why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            found.append(invalid(here + ".operator", operator, why))
        if "tolerationSeconds" in one and effect != "NoExecute":
            found.append(invalid(here + ".effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
        if operator in ("Equal", ""):
            found += [invalid(here + ".operator", value, why) for why in meta.label_value_errors(value)]
        elif operator != "Exists":
            found.append(not_supported(here + ".operator", operator, ["Equal", "Exists"]))
        elif value:
            found.append(invalid(here + ".operator", value, "value must be empty when `operator` is 'Exists'"))
        if effect and effect not in EFFECTS:
            found.append(not_supported(here + ".effect", effect, EFFECTS))
    return found


def _aliases(spec: Object, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    for index, one in enumerate(spec.get("hostAliases") or []):
        here = f"{path}.hostAliases[{index}]"
        found += address_errors(here + ".ip", one.get("ip", ""), None)
        for at, name in enumerate(one.get("hostnames") or []):
            found += [invalid(f"{here}.hostnames[{at}]", name, why) for why in meta.subdomain_errors(name)]
    return found


# --- what an update may change


def toleration_changes(new: Object, old: Object) -> list[FieldError]:
    """Tolerations may be added, not taken away; how long one holds may be changed."""

    def timeless(spec: Object) -> list[Object]:
        given = spec.get("tolerations") or []
        return [{name: value for name, value in one.items() if name != "tolerationSeconds"} for one in given]

    before, now = timeless(old), timeless(new)
    if all(one in now for one in before):
        return []
    why = "existing toleration can not be modified except its tolerationSeconds"
    return [forbidden("spec.tolerations", why)]


def difference(old: Object, new: Object) -> str:
    """The lines that differ between two specs, in the real server's spelling: fields begin with a capital there, as in Go.

    It shows the lines around them, too, of the whole spec as it has it inside, with all that is empty.
    """
    before, after = (json.dumps(one, indent=1, sort_keys=True).splitlines() for one in (old, new))
    lines = [_as_in_go(line) for line in difflib.ndiff(before, after) if line[:1] in "+-"]
    return "\n".join(lines) + "\n"


def _as_in_go(line: str) -> str:
    """A line of a diff ('-   "containerPort": 9080,') with its field as Go has it, and one blank less."""
    return re.sub(r'^([-+]) (\s*")([a-z])', lambda found: found[1] + found[2] + found[3].upper(), line)
