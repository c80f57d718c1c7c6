"""The combinations that were tested: kind, node images, kubectl and the workload image, in one place.

Does not fetch or look for anything. `KIND_NODE_IMAGE` in the environment takes the place of the default node image.
Node images and digests: the release notes of kind v0.33.0.
"""

import os
import re

KIND = "v0.33.0"
KUBECTL = "v1.37.0"
KUBECTL_OLDEST = (1, 20)  # of those that were tried with the embedded cluster, which serves older ones than Kubernetes supports
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.53"

NODE_IMAGES = {
    "1.37": "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5",
    "1.36": "kindest/node:v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed",
    "1.35": "kindest/node:v1.35.8@sha256:07b2536e30b803ed61d1677a79df6115f798ce64c80f9e22f6ed45afd09323c0",
    "1.34": "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d",
}
TESTED_MINOR = "1.37"


def node_image() -> str:
    """The node image to create clusters from: `KIND_NODE_IMAGE`, else the tested one, behind `LABS_MIRROR` if set."""
    return os.environ.get("KIND_NODE_IMAGE") or mirrored(NODE_IMAGES[TESTED_MINOR])


def workload_image() -> str:
    """The image of every Pod of the course: agnhost, behind `LABS_MIRROR` if set."""
    return mirrored(AGNHOST)


def mirrored(image: str) -> str:
    """The image's name behind `LABS_MIRROR` (a registry host, with a path if it has one), or as it is.

    A scheme in front of the mirror is for downloads (labs/tools.py) and left out: an image's name has none.

    >>> mirrored("kindest/node:v1")  # LABS_MIRROR=mirror.example/k8s
    'mirror.example/k8s/kindest/node:v1'
    """
    mirror = re.sub(r"^https?://", "", os.environ.get("LABS_MIRROR", "").strip()).rstrip("/")
    if not mirror:
        return image
    first, _, rest = image.partition("/")
    path = rest if "." in first or ":" in first else image
    return f"{mirror}/{path}"


def warning(kubernetes: str) -> str:
    """A word of warning for a Kubernetes version ("v1.33.2") whose minor version was not tested, else ""."""
    found = re.match(r"v?(\d+\.\d+)", kubernetes)
    minor = found.group(1) if found else kubernetes
    if minor == TESTED_MINOR:
        return ""
    return (
        f"This cluster runs Kubernetes {kubernetes}; the course was tested with {TESTED_MINOR}. "
        "It should work, but the wording of some answers may differ."
    )
