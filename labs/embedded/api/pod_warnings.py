"""What a client is warned of in a Pod that is taken (pkg/api/pod/warnings.go), in the real server's order. Only computes."""

from typing import Any

from labs.embedded.api import quantities

Object = dict[str, Any]
BYTES = ("memory", "ephemeral-storage")


def warnings(spec: Object, path: str) -> list[str]:
    """One text each."""
    found = []
    for volume in spec.get("volumes") or []:
        sources = (volume.get("projected") or {}).get("sources") or []
        if any(not source for source in sources):
            found.append(f'volume "{volume["name"]}" (Projected) has no sources provided')
    found += _twice([one.get("ip", "") for one in spec.get("hostAliases") or []], path + ".hostAliases", "ip")
    secrets = [one.get("name", "") for one in spec.get("imagePullSecrets") or []]
    found += _twice(secrets, path + ".imagePullSecrets", "name")
    for index, name in enumerate(secrets):
        if not name:
            found.append(f'{path}.imagePullSecrets[{index}].name: invalid empty name ""')
    for part in ("initContainers", "containers"):
        for index, one in enumerate(spec.get(part) or []):
            found += _container(one, f"{path}.{part}[{index}]")
    return found + _double_ports(spec, path)


def _twice(values: list[str], path: str, what: str) -> list[str]:
    return [
        f'{path}[{index}].{what}: duplicate {what} "{value}"' for index, value in enumerate(values) if value in values[:index]
    ]


def _container(one: Object, path: str) -> list[str]:
    found = []
    for name in BYTES:
        for part in ("limits", "requests"):
            amount = (one["resources"].get(part) or {}).get(name, "0")
            number = quantities.value(amount)
            if number is not None and number.denominator != 1:
                here = f"{path}.resources.{part}[{name}]"
                found.append(f'{here}: fractional byte value "{amount}" is invalid, must be an integer')
    names = [env.get("name") for env in one.get("env") or []]
    for at, variable in enumerate(names):
        if variable in names[:at]:
            why = f'hides previous definition of "{variable}", which may be dropped when using apply'
            found.append(f"{path}.env[{at}]: {why}")
    return found


def _double_ports(spec: Object, path: str) -> list[str]:
    found: list[str] = []
    seen: dict[tuple[str, int, Any], str] = {}
    for index, one in enumerate(spec.get("containers") or []):
        for at, port in enumerate(one.get("ports") or []):
            here = f"{path}.containers[{index}].ports[{at}]"
            key = (port["protocol"], port.get("containerPort", 0), (port.get("hostIP", ""), port.get("hostPort", 0)))
            if key in seen:
                found.append(f"{here}: duplicate port definition with {seen[key]}")
            else:
                seen[key] = here
    return found
