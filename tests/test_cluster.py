"""labs.cluster without a cluster: what the API server's words are read as, and a kubeconfig or kubectl that cannot be used."""

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from labs.cluster import Cluster, _end, refusal
from labs.errors import ClusterGone, ToolMissing
from labs.providers.embedded import EmbeddedCluster
from tests.test_embedded_provider import GONE


def refused(body: Any) -> ApiException:
    error = ApiException(status=422, reason="Unprocessable Entity")
    error.body = body
    return error


def test_words_are_read_as_json() -> None:
    """An emoji as targetPort: JSON may spell it as two halves, which YAML takes for two characters that nothing can show."""
    body = json.dumps({"message": 'targetPort: Invalid value: "😀"', "reason": "Invalid"})
    assert "\\ud83d\\ude00" in body
    read = refusal(refused(body))
    assert read.words == 'targetPort: Invalid value: "😀"'
    assert read.reason == "Invalid"
    read.words.encode()


def test_half_a_character_is_shown_as_a_question() -> None:
    assert refusal(refused('{"message": "value \\ud83d"}')).words == "value ?"


@pytest.mark.parametrize("body", [None, "", "<html>", "[1]", "5", '{"reason": "x"}', "[" * 100_000, b"\xff"])
def test_a_body_that_is_no_status_leaves_the_http_reason(body: Any) -> None:
    assert refusal(refused(body)).words == "Unprocessable Entity"


class Session:
    """An exec that has ended with this on its error channel."""

    def __init__(self, said: str) -> None:
        self.said = said

    def read_channel(self, channel: int, timeout: int) -> str:
        return self.said


@pytest.mark.parametrize(
    ("said", "end"),
    [
        ("", (None, "")),
        ('{"status": "Suc', (None, "")),
        ('{"status": "Success"}', (0, "")),
        ('{"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "7"}]}}', (7, "")),
        ('{"status": "Failure", "message": "no \\ud83d\\ude00"}', (126, "no 😀\n")),
    ],
)
def test_the_end_of_an_exec(said: str, end: tuple[int | None, str]) -> None:
    assert _end(Session(said)) == end


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return EmbeddedCluster(GONE, tmp_path / "kubeconfig", tmp_path / "kubectl")


EMPTY = b'{"clusters": [], "contexts": [], "current-context": "a"}'
ODD = b'{"clusters": [], "contexts": [5], "current-context": "a"}'


@pytest.mark.parametrize("text", [None, b"", b"\0\xff", b"[1]", b"a: [", b"{}", b"[" * 100_000, EMPTY, ODD])
def test_a_kubeconfig_that_cannot_be_used_is_told(text: bytes | None, cluster: Cluster) -> None:
    if text is not None:
        cluster.kubeconfig.write_bytes(text)
    with pytest.raises(ClusterGone, match="cannot be used") as told:
        cluster.core()
    assert "labs up" in told.value.try_this


def test_a_kubectl_that_cannot_be_run_is_told(cluster: Cluster) -> None:
    for content in (None, "", "\x7fELF no program for here"):
        if content is not None:
            cluster.kubectl_path.write_text(content)
            cluster.kubectl_path.chmod(0o755)
        with pytest.raises(ToolMissing, match="cannot be run as kubectl"):
            cluster.kubectl("version")


def test_what_kubectl_prints_need_not_be_text(cluster: Cluster) -> None:
    """As the log of a Pod."""
    cluster.kubectl_path.write_text("#!/bin/sh\nprintf 'a\\377b'\n")
    cluster.kubectl_path.chmod(0o755)
    assert cluster.kubectl("logs").out == "a\ufffdb"
