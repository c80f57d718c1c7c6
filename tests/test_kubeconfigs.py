"""labs.providers.kubeconfigs: whether the kubeconfig that is kept leads to its cluster; and what kind is given instead."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from labs.cluster import Address
from labs.errors import ClusterGone
from labs.providers import containers, kind, kubeconfigs

PEM = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n").decode()
SERVER = "https://127.0.0.1:6443"
KIND: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "kind-ports", "cluster": {"server": SERVER, "certificate-authority-data": PEM}}],
    "users": [{"name": "kind-ports", "user": {"client-certificate-data": PEM, "client-key-data": PEM}}],
    "contexts": [{"name": "kind-ports", "context": {"cluster": "kind-ports", "user": "kind-ports"}}],
    "current-context": "kind-ports",
}
NODES = [
    containers.NodeContainer("ports-control-plane", "node", True, "kind", "172.18.0.2", {6443: Address("127.0.0.1", 6443)}),
    containers.NodeContainer("ports-worker", "node", True, "kind", "172.18.0.3", {}),
]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the kubeconfig of the cluster "ports" is kept; there is a good one."""
    monkeypatch.setenv("LABS_HOME", str(tmp_path))
    monkeypatch.delenv("LABS_NAME", raising=False)
    (tmp_path / "state").mkdir(mode=0o700)
    kept = tmp_path / "state" / "ports.kubeconfig"
    kept.write_text(json.dumps(KIND))
    return kept


def changed(kind: str, key: str, **values: Any) -> str:
    """The good one with other values in an entry's body."""
    return json.dumps({**KIND, kind: [{**KIND[kind][0], key: {**KIND[kind][0][key], **values}}]})


DAMAGES = {
    "is gone": None,
    "cannot be read": "a: [",
    "cannot be read (it is no mapping)": "[]",
    "cannot be read (it is not YAML)": "[" * 100_000,
    "is no complete kubeconfig": json.dumps({**KIND, "users": []}),
    "leads to another server (https://127.0.0.1:1, by context kind-ports)": changed(
        "clusters", "cluster", server="https://127.0.0.1:1"
    ),
    "has not this cluster's certificates or token": changed("users", "user", **{"client-key-data": PEM[:20]}),
}


@pytest.mark.parametrize("fault", DAMAGES)
def test_kind_is_told_what_is_wrong_with_its_kubeconfig(fault: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "nodes", lambda _: NODES)
    monkeypatch.setattr(kind, "_own_name", lambda: "ports")
    assert kind._kubeconfig_fault(NODES, path) == ""
    text = DAMAGES[fault]
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(ClusterGone, match="is not up") as told:
        kind.connect()
    assert told.value.why.startswith(f"{path} {fault}")
    assert "labs up" in told.value.try_this


@pytest.mark.parametrize(
    "odd",
    [{"clusters": 5}, {"clusters": [5]}, {"clusters": [{"name": "kind-ports", "cluster": "x"}]},
     {"contexts": [{"name": "kind-ports"}]}, {"current-context": ["x"]}, {"current-context": "gone"}],
)  # fmt: skip
def test_a_kubeconfig_of_any_shape_is_judged(odd: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps({**KIND, **odd}))
    assert kubeconfigs.fault(path, {"server": SERVER}, {}) == f"{path} is no complete kubeconfig"


def test_what_the_learner_has_set_besides_is_no_fault(path: Path) -> None:
    path.write_text(changed("contexts", "context", namespace="target-port"))
    assert kubeconfigs.fault(path, {"server": SERVER, "certificate-authority-data": None}, {"client-key-data": None}) == ""


@pytest.fixture
def programs(path: Path, tmp_path: Path) -> kind.LabKind:
    """kind, of which `export` writes its kubeconfig as the real one does: through a link, and into what is there."""
    program = tmp_path / "kind"
    program.write_text("""#!/bin/sh\neval "echo exported >>${4#--kubeconfig=}"\n""")
    program.chmod(0o755)
    return kind.LabKind("ports", program, program)


def test_kind_writes_to_no_file_but_ours(programs: kind.LabKind, path: Path, tmp_path: Path) -> None:
    mine = tmp_path / "config"
    mine.write_text("the learner's own")
    path.unlink()
    path.symlink_to(mine)
    programs.export_kubeconfig()
    assert mine.read_text() == "the learner's own"
    assert path.read_text() == "exported\n" and not path.is_symlink()


@pytest.mark.parametrize("damage", [b"", b"\0\xff", b"a: ["])
def test_kind_begins_with_no_file(damage: bytes, programs: kind.LabKind, path: Path) -> None:
    """It adds to what is there, and stops at what it cannot read."""
    path.write_bytes(damage)
    programs.export_kubeconfig()
    assert path.read_text() == "exported\n"
    assert list(path.parent.iterdir()) == [path]


def test_clusters_of_the_learners_own_are_kept_aside(programs: kind.LabKind, path: Path) -> None:
    mixed = json.dumps({**KIND, "clusters": [*KIND["clusters"], {"name": "mine", "cluster": {"server": SERVER}}]})
    path.write_text(mixed)
    programs.export_kubeconfig()
    assert path.read_text() == "exported\n"
    assert path.with_name("ports.damaged1.kubeconfig").read_text() == mixed
