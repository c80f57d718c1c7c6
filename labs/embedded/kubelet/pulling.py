"""Whether a container's image is there, and what a kubelet says and does where it is not (pkg/kubelet/images)."""

from typing import Any, Protocol

from labs.embedded.kubelet import images

Object = dict[str, Any]
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 300.0  # seconds before an image is asked for again: doubled each time
SHOWN = 2.0  # seconds that ErrImagePull shows before it becomes ImagePullBackOff


class Waiting(Protocol):
    """A container that waits for its image."""

    spec: Object

    def tell(self, kind: str, reason: str, message: str) -> None:
        """An Event about it."""

    def waits(self, reason: str, message: str) -> None:
        """Its state becomes `waiting`."""

    async def stopped_within(self, seconds: float | None) -> bool:
        """Waits so long (None: for ever), or until it has another image; whether its Pod was stopped."""


async def image(container: Waiting) -> bool:
    """True when the image is there; waits for ever where it cannot be had, False when the Pod is stopped meanwhile."""
    pause = FIRST_PAUSE
    while images.find(container.spec["image"]) is None:
        if not images.is_name(container.spec["image"]):
            stopped = await _unnamable(container)
        elif container.spec.get("imagePullPolicy") == "Never":
            stopped = await _never(container)
        else:
            stopped = await _unreachable(container, pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        if stopped:
            return False
    words = f'Container image "{container.spec["image"]}" already present on machine and can be accessed by the pod'
    container.tell("Normal", "Pulled", words)
    return True


async def _unnamable(container: Waiting) -> bool:
    reference = container.spec["image"]
    words = (
        f'Failed to apply default image tag "{reference}": couldn\'t parse image name "{reference}": invalid reference format'
    )
    container.tell("Warning", "InspectFailed", words)
    container.tell("Warning", "Failed", "Error: InvalidImageName")
    container.waits("InvalidImageName", words)
    return await container.stopped_within(None)


async def _never(container: Waiting) -> bool:
    words = f'Container image "{container.spec["image"]}" is not present with pull policy of Never'
    container.tell("Warning", "ErrImageNeverPull", words)
    container.tell("Warning", "Failed", "Error: ErrImageNeverPull")
    container.waits("ErrImageNeverPull", words)
    return await container.stopped_within(None)


async def _unreachable(container: Waiting, pause: float) -> bool:
    reference = container.spec["image"]
    why = images.unreachable(reference)
    container.tell("Normal", "Pulling", f'Pulling image "{reference}"')
    container.tell("Warning", "Failed", f'Failed to pull image "{reference}": {why}')
    container.tell("Warning", "Failed", "Error: ErrImagePull")
    container.waits("ErrImagePull", why)
    if await container.stopped_within(SHOWN):
        return True
    if container.spec["image"] != reference:
        return False
    words = f'Back-off pulling image "{reference}"'
    container.tell("Normal", "BackOff", words)
    container.tell("Warning", "Failed", "Error: ImagePullBackOff")
    container.waits("ImagePullBackOff", f"{words}: ErrImagePull: {why}")
    return await container.stopped_within(pause)
