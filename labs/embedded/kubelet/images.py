"""The images that the embedded cluster has: a short table. Any other one cannot be pulled, as on a machine with no registry."""

import re
from dataclasses import dataclass

DNS = "/coredns"  # not a program: the server itself answers


@dataclass(frozen=True)
class Image:
    """What an image runs where the Pod does not say: its ENTRYPOINT and its CMD. tags: those that there are."""

    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    tags: str = r".*"


# By the last part of the name; the registry is as you like. agnhost's versions are 2.something.
_IMAGES = {
    "agnhost": Image(("/agnhost",), ("pause",), r"latest|2\.[\w.-]+"),
    "pause": Image(("/agnhost", "pause"), ()),
    "busybox": Image((), ("sh",)),
    "curl": Image(("curl",), ()),
    "dnsutils": Image((), ("sleep", "infinity")),
    "glibc-dns-testing": Image((), ("sleep", "infinity")),
    "jessie-dnsutils": Image((), ("sleep", "infinity")),
    "coredns": Image((DNS,), ()),
}
_REFERENCE = re.compile(r"(?P<name>[a-zA-Z0-9][\w.:/-]*?)(?P<tag>:[\w][\w.-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64})?")


def find(reference: str) -> Image | None:
    """The image of that name ("registry.k8s.io/e2e-test-images/agnhost:2.53"); None where we have none such."""
    match = _REFERENCE.fullmatch(reference)
    found = _IMAGES.get(match["name"].rpartition("/")[2]) if match else None
    if found is None or match is None or not re.fullmatch(found.tags, (match["tag"] or ":latest")[1:]):
        return None
    return found


def has_agnhost(reference: str) -> bool:
    """Whether the program /agnhost is in that image."""
    return find(reference) == _IMAGES["agnhost"]


def is_name(reference: str) -> bool:
    """Whether this can be an image's name at all."""
    return _REFERENCE.fullmatch(reference) is not None and not re.search(r"[A-Z]", reference.partition(":")[0])


def full_name(reference: str) -> str:
    """The reference as the runtime writes it in errors: with a registry and a tag."""
    match = _REFERENCE.fullmatch(reference)
    if not match:
        return reference
    first, slash, _ = match["name"].partition("/")
    name = match["name"]
    if not slash:
        name = f"docker.io/library/{name}"
    elif "." not in first and ":" not in first and first != "localhost":
        name = f"docker.io/{name}"
    return name + (match["tag"] or ("" if match["digest"] else ":latest")) + (match["digest"] or "")


def unreachable(reference: str) -> str:
    """Why an image that we do not have cannot be pulled, in the container runtime's words."""
    whole = full_name(reference)
    host = whole.partition("/")[0]
    return (
        f'failed to pull and unpack image "{whole}": failed to resolve reference "{whole}": the embedded cluster has no '
        f"registry, so none at {host}; it has the images agnhost (2.x), busybox, curl, dnsutils and pause"
    )
