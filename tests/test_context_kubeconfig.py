"""The provider context: one context out of a learner's kubeconfig files, in a file of the course's own. No cluster."""

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config

from labs.errors import BadInput, ClusterGone, LabError
from labs.providers import context
from labs.providers.context import borrowed, kubeconfig

EXEC_API = "client.authentication.k8s.io/v1"
PLUGIN = f"""#!/bin/sh
echo '{{"apiVersion": "{EXEC_API}", "kind": "ExecCredential", "status": {{"token": "from-the-plugin"}}}}'
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LABS_NAME", raising=False)
    monkeypatch.delenv("LABS_NAMESPACE", raising=False)


@pytest.fixture
def learners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two kubeconfig files in two folders, with everything that a copy elsewhere could break; KUBECONFIG names both."""
    first, second = tmp_path / "one" / "config", tmp_path / "two" / "config"
    for path in (first, second):
        (path.parent / "bin").mkdir(parents=True)
        (path.parent / "ca.crt").write_text(f"CA of {path.parent.name}")
        (path.parent / "bin" / "login").write_text(PLUGIN)
        (path.parent / "bin" / "login").chmod(0o755)
    (first.parent / "key").write_text("KEY")
    first.write_text(
        yaml.safe_dump(
            {
                "clusters": [_cluster("shared", "https://one.example")],
                "users": [
                    {"name": "plugin", "user": {"exec": {"apiVersion": EXEC_API, "command": "./bin/login"}}},
                    {"name": "bare", "user": {"exec": {"apiVersion": EXEC_API, "command": "aws"}}},
                    {"name": "keyed", "user": {"client-certificate-data": "Q0VSVA==", "client-key": "key"}},
                    {"name": "secret", "user": {"token": "of-another-context"}},
                ],
                "contexts": [
                    {"name": "a", "context": {"cluster": "shared", "user": "plugin", "namespace": "mine"}},
                    {"name": "b", "context": {"cluster": "shared", "user": "bare"}},
                    {"name": "c", "context": {"cluster": "shared", "user": "keyed"}},
                    {"name": "secret", "context": {"cluster": "shared", "user": "secret"}},
                    {"name": "half", "context": {"cluster": "nowhere", "user": "secret"}},
                ],
            }
        )
    )
    second.write_text(
        yaml.safe_dump(
            {
                "clusters": [_cluster("shared", "https://two.example"), _cluster("other", "https://other.example")],
                "users": [{"name": "filed", "user": {"tokenFile": "token"}}],
                "contexts": [
                    {"name": "a", "context": {"cluster": "other", "user": "filed"}},
                    {"name": "d", "context": {"cluster": "other", "user": "filed"}},
                ],
            }
        )
    )
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(first), str(second), str(tmp_path / "missing")]))
    return [first, second]


def _cluster(name: str, server: str) -> dict[str, Any]:
    return {"name": name, "cluster": {"server": server, "certificate-authority": "ca.crt"}}


def taken(name: str) -> kubeconfig.Kubeconfig:
    return kubeconfig.extract(kubeconfig.sources(kubeconfig.paths()), name)


# --- one context out of the learner's kubeconfig


@pytest.mark.usefixtures("learners")
def test_files_merge_as_kubectl_merges_them() -> None:
    assert kubeconfig.contexts(kubeconfig.sources(kubeconfig.paths())) == ["a", "b", "c", "secret", "half", "d"]
    assert kubeconfig.server_of(taken("a")) == "https://one.example"
    assert kubeconfig.server_of(taken("d")) == "https://other.example"


def test_what_the_files_point_to_is_found_from_everywhere(learners: list[Path]) -> None:
    first, second = learners
    assert _part(taken("a"), "cluster")["certificate-authority-data"] == _base64("CA of one")
    assert _part(taken("d"), "cluster")["certificate-authority-data"] == _base64("CA of two")
    assert _part(taken("a"), "user")["exec"]["command"] == str(first.parent / "bin" / "login")
    assert _part(taken("b"), "user")["exec"]["command"] == "aws"
    assert _part(taken("c"), "user") == {"client-certificate-data": "Q0VSVA==", "client-key-data": _base64("KEY")}
    assert _part(taken("d"), "user")["tokenFile"] == str(second.parent / "token")


def _part(config: kubeconfig.Kubeconfig, key: str) -> dict[str, Any]:
    part: dict[str, Any] = config[f"{key}s"][0][key]
    return part


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.usefixtures("learners")
def test_nothing_of_other_contexts_is_taken() -> None:
    assert "of-another-context" not in json.dumps(taken("a"))


def test_the_python_client_logs_in_with_it_from_another_folder(
    learners: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = kubeconfig.own_path("a")
    kubeconfig.write_own(own, {**taken("a"), "clusters": [{"name": "shared", "cluster": {"server": "https://one.example"}}]})
    monkeypatch.chdir(tmp_path)
    loaded = kubernetes_client.Configuration()
    kubernetes_config.load_kube_config(str(own), client_configuration=loaded)
    assert loaded.host == "https://one.example"
    assert loaded.auth_settings()["BearerToken"]["value"] == "Bearer from-the-plugin"


def test_the_learners_files_stay_as_they_are(learners: list[Path]) -> None:
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in learners]
    kubeconfig.write_own(kubeconfig.own_path("a"), taken("a"))
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in learners] == before


def test_our_file_is_for_its_owner_alone_and_written_whole(learners: list[Path]) -> None:
    old = os.umask(0)
    try:
        own = kubeconfig.own_path("a")
        kubeconfig.write_own(own, taken("a"))
        kubeconfig.write_own(own, taken("b"))
    finally:
        os.umask(old)
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert yaml.safe_load(own.read_text())["current-context"] == "b"
    assert list(own.parent.iterdir()) == [own]


def test_contexts_whose_names_look_alike_have_files_of_their_own() -> None:
    arns = ("arn:aws:eks:eu-1:1:cluster/x", "arn:aws:eks:eu-1:1:cluster-x", "x", "X")
    assert len({str(kubeconfig.own_path(name)) for name in arns}) == len(arns)
    assert all(kubeconfig.own_path(name).parent == kubeconfig.own_path("x").parent for name in ("../../x", "/", ".."))


def test_in_the_courses_own_terminal_the_learners_files_are_still_found(
    learners: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = kubeconfig.own_path("a")
    kubeconfig.write_own(own, taken("a"))
    monkeypatch.setenv("KUBECONFIG", str(own))
    assert kubeconfig.paths() == learners
    assert kubeconfig.server_of(taken("d")) == "https://other.example"


def test_without_kubeconfig_it_is_the_file_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kubeconfig.paths() == [tmp_path / ".kube" / "config"]
    assert not context.available().yes


@pytest.mark.usefixtures("learners")
def test_a_context_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(BadInput, match="a, b, c, secret, half, d"):
        taken("nonexistent")
    with pytest.raises(BadInput, match="a, b, c, secret, half, d"):
        context.connect("nonexistent")
    with pytest.raises(BadInput, match="a, b, c, secret, half, d"):
        context.up("nonexistent", print)
    with pytest.raises(BadInput, match="a, b, c, secret, half, d"):
        context.status("nonexistent")
    assert context.available().yes


@pytest.mark.usefixtures("learners")
def test_a_context_that_was_not_borrowed_yet_needs_up() -> None:
    with pytest.raises(ClusterGone, match="labs up"):
        context.connect("a")
    said: list[str] = []
    context.down("a", said.append)
    assert said == ["Nothing of the course is known in context a."]


@pytest.mark.usefixtures("learners")
def test_a_token_file_that_is_gone_is_told_when_it_is_needed() -> None:
    own = kubeconfig.own_path("d")
    config = taken("d")
    kubeconfig.context_of(config)["namespace"] = "any"
    kubeconfig.write_own(own, config)
    with pytest.raises(LabError, match="credentials of context d cannot be used"):
        borrowed.BorrowedCluster("d", own, Path("kubectl")).core()


@pytest.mark.usefixtures("learners")
@pytest.mark.parametrize("damage", ["", "\0", "a: [", "[" * 100_000, "contexts: 5", "contexts: [{}]", "{}"])
def test_a_damaged_file_of_ours_needs_up(damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which then knows no namespace from before; and our own terminals still find the learner's files."""
    own = kubeconfig.own_path("a")
    own.write_text(damage)
    with pytest.raises(ClusterGone, match="damaged"):
        borrowed.BorrowedCluster("a", own, Path("kubectl"))
    assert context._namespace_before(own) == ""
    monkeypatch.setenv("KUBECONFIG", str(own))
    assert kubeconfig.paths() == [Path.home() / ".kube" / "config"]


def test_what_is_missing_or_broken_is_named(learners: list[Path]) -> None:
    with pytest.raises(LabError, match="names the cluster nowhere"):
        taken("half")
    (learners[0].parent / "ca.crt").unlink()
    with pytest.raises(LabError, match=r"certificate-authority of cluster shared"):
        taken("a")
    shapes = ("clusters: 5", "users: [5]", "contexts: [{context: x}]")
    for broken in ("a: [", "just words", "- a\n- list\n", "[" * 100_000, *shapes):
        learners[1].write_text(broken)
        with pytest.raises(LabError, match=str(learners[1])):
            taken("a")
        assert not context.available().yes
