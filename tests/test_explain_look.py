"""What labs.explain.look makes of a V1Pod, with no cluster."""

import pytest
from kubernetes import client

from labs.explain.look import pod_of


def ended(code: int) -> client.V1ContainerState:
    return client.V1ContainerState(terminated=client.V1ContainerStateTerminated(exit_code=code))


RUNS = client.V1ContainerState(running=client.V1ContainerStateRunning())


def v1_pod(restart: str, phase: str, *states: client.V1ContainerState) -> client.V1Pod:
    """A Pod whose containers are in these states."""
    names = [f"c{at}" for at, _ in enumerate(states)]
    statuses = [
        client.V1ContainerStatus(name=name, state=state, ready=False, restart_count=0, image="", image_id="")
        for name, state in zip(names, states, strict=True)
    ]
    return client.V1Pod(
        metadata=client.V1ObjectMeta(name="pod2"),
        spec=client.V1PodSpec(restart_policy=restart, containers=[client.V1Container(name=name) for name in names]),
        status=client.V1PodStatus(phase=phase, container_statuses=statuses),
    )


@pytest.mark.parametrize(
    ("given", "phase"),
    [
        (v1_pod("Never", "Running", ended(0)), "Succeeded"),
        (v1_pod("Never", "Running", ended(0), ended(1)), "Failed"),
        (v1_pod("OnFailure", "Running", ended(0)), "Succeeded"),
        (v1_pod("OnFailure", "Running", ended(1)), "Running"),
        (v1_pod("Always", "Running", ended(0)), "Running"),
        (v1_pod("Never", "Running", ended(0), RUNS), "Running"),
        (v1_pod("Never", "Failed", ended(0)), "Failed"),
    ],
)
def test_a_pod_whose_containers_have_ended_has_ended_before_kubelet_says_so(given: client.V1Pod, phase: str) -> None:
    assert pod_of(given, None, (), "", {}, "").phase == phase
