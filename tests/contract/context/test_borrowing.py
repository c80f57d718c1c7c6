"""A cluster is borrowed and given back: what `up` says, takes and leaves, and what goes wrong."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from labs import seats
from labs.cluster import Address, Cluster, NotHere
from labs.deploy import ARTICLE_NODE_PORT, Lesson
from labs.errors import BadInput, ClusterGone, LabError, Refused
from labs.providers import context
from labs.providers.context.borrowed import BorrowedCluster
from tests.contract.asking import From
from tests.contract.context.guests import Said, a_service, invited, seats_gone

# --- what is borrowed


def test_up_says_what_it_found_and_what_it_cannot_show(lent: tuple[BorrowedCluster, Said, Path]) -> None:
    cluster, said, _ = lent
    text = "\n".join(said)
    assert f"Borrowing namespace {cluster.space} of context guest" in text
    assert "the context names it" in text
    assert "What carries its Services: not told to us" in text
    for what in ("a request from a node", "a request from another machine", "a node's Service rules", "we may not list"):
        assert what in text
    assert cluster.nodes == ()
    assert isinstance(cluster.elsewhere(["true"]), NotHere)
    assert isinstance(cluster.rules("any"), NotHere)
    assert isinstance(cluster.outside(30000), NotHere)
    assert "cannot be tried here, because" in cluster.node_seat.why
    assert context.status("guest").splitlines()[1:] == said[1:]


def test_our_kubeconfig_is_our_own_and_names_the_namespace(lent: tuple[BorrowedCluster, Said, Path]) -> None:
    cluster, _, theirs = lent
    assert cluster.kubeconfig != theirs
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o600
    shown = cluster.kubectl("get", "pods", "-o", "name")
    assert f"pod/{seats.CLIENT}" in shown.out.split(), shown


def test_up_and_connect_can_be_run_again_also_in_the_courses_own_terminal(
    guest: BorrowedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert context.connect("guest").space == guest.space
    monkeypatch.setenv("KUBECONFIG", str(guest.kubeconfig))
    assert context.up("guest", lambda _: None).namespace == guest.space
    assert context.connect("guest").space == guest.space


def test_the_admin_sees_the_nodes_and_the_data_plane(
    admin: Cluster, room: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """No namespace in the context: one is made, with a word, and taken away again by `down`."""
    monkeypatch.setenv("KUBECONFIG", str(admin.kubeconfig))
    name = yaml.safe_load(admin.kubeconfig.read_text("utf-8"))["current-context"]
    said: Said = []
    cluster = context.up(name, said.append)
    try:
        text = "\n".join(said)
        made = os.environ["LABS_NAME"]
        assert cluster.namespace == made
        assert f"Made namespace {made}" in text
        assert f"kube-proxy in {mode} mode" in text
        assert cluster.nodes == admin.nodes
        monkeypatch.setenv("LABS_OPEN_NODE_PORT", "yes")
        lesson = Lesson(cluster, "04-node-port", say=said.append)
        lesson.start()
        lesson.apply("02-pod2")
        [applied] = lesson.apply("07-service-nodeport-30066")
        node_port = applied.object["spec"]["ports"][0]["nodePort"]
        assert node_port != ARTICLE_NODE_PORT
        assert f"node port {node_port} (the article's: {ARTICLE_NODE_PORT})" in said[-1]
        address = cluster.outside(node_port)
        if isinstance(address, Address):  # where the engine gives this laptop a way to the nodes
            assert address.host in [node.address for node in cluster.nodes]
            assert From.laptop().hostname(str(address)) == "pod2"
        else:
            assert "reaches no node" in address.why
    finally:
        context.down(name, said.append)
    assert f"Deleted namespace {made}" in said[-1]
    assert seats_gone(admin, made)
    with pytest.raises(ClusterGone, match="not borrowed yet"):
        context.connect(name)


def test_a_namespace_that_the_course_made_stays_where_something_else_is_in_it(
    admin: Cluster, room: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any kind: what a learner keeps there would go with it."""
    monkeypatch.setenv("LABS_NAME", f"{os.environ['LABS_NAME']}-kept")
    monkeypatch.setenv("KUBECONFIG", str(admin.kubeconfig))
    name = yaml.safe_load(admin.kubeconfig.read_text("utf-8"))["current-context"]
    said: Said = []
    space = context.up(name, said.append).space
    try:
        admin.core().create_namespaced_config_map(space, {"metadata": {"name": "mine"}, "data": {"a": "1"}})
        context.down(name, said.append)
        assert "stays: the course made it, but configmap/mine is somebody else's" in said[-1]
        assert admin.core().read_namespaced_config_map("mine", space).data == {"a": "1"}
    finally:
        admin.core().delete_namespace(space)
    assert seats_gone(admin, space)


def test_default_and_a_namespace_of_others_are_taken_only_when_named(
    admin: Cluster, room: pytest.MonkeyPatch, namespaces: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(admin.kubeconfig))
    name = yaml.safe_load(admin.kubeconfig.read_text("utf-8"))["current-context"]
    monkeypatch.setenv("LABS_NAME", namespaces())
    with pytest.raises(BadInput, match="the course did not make it"):
        context.up(name, lambda _: None)
    with pytest.raises(ClusterGone):
        context.connect(name)


def test_who_may_not_make_a_namespace_is_asked_for_one(
    admin: Cluster, room: pytest.MonkeyPatch, guest: BorrowedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = invited(admin, guest.space, "homeless", "edit", tmp_path / "config", in_context=False)
    monkeypatch.setenv("KUBECONFIG", str(theirs))
    with pytest.raises(LabError, match="no namespace for the course") as told:
        context.up("homeless", lambda _: None)
    assert "LABS_NAMESPACE=NAME" in told.value.try_this
    monkeypatch.setenv("LABS_NAMESPACE", guest.space)
    assert context.up("homeless", lambda _: None).namespace == guest.space


# --- what goes wrong


def test_missing_rights_are_told_at_once_and_the_mend_mends(
    admin: Cluster, room: pytest.MonkeyPatch, namespaces: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = namespaces()
    monkeypatch.setenv("KUBECONFIG", str(invited(admin, namespace, "looker", "view", tmp_path / "config")))
    with pytest.raises(LabError, match="lacks rights") as told:
        context.up("looker", lambda _: None)
    for lacking in ("create, update, delete, deletecollection pods", "get, create pods/exec", "patch, delete services"):
        assert lacking in told.value.why
    assert "list endpointslices" not in told.value.why
    assert not admin.core().list_namespaced_pod(namespace).items
    with pytest.raises(ClusterGone, match="not borrowed yet"):
        context.connect("looker")
    mend = told.value.try_this.split("`")[3].split()
    assert mend[0] == "kubectl"
    done = admin.kubectl(*mend[1:])
    assert done.code == 0, done
    assert context.up("looker", lambda _: None).namespace == namespace


def test_credentials_that_ran_out_are_told_as_such(
    admin: Cluster, room: pytest.MonkeyPatch, guest: BorrowedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that the API server does not know: to it, one that has expired looks the same (401)."""
    theirs = invited(admin, guest.space, "leaver", "edit", tmp_path / "config")
    config = yaml.safe_load(theirs.read_text("utf-8"))
    config["users"][0]["user"]["token"] += "x"
    theirs.write_text(yaml.safe_dump(config), "utf-8")
    monkeypatch.setenv("KUBECONFIG", str(theirs))
    with pytest.raises(LabError, match="does not accept your credentials") as told:
        context.up("leaver", lambda _: None)
    assert not isinstance(told.value, Refused)
    assert "python -m labs up" in told.value.try_this
    assert not list(guest.kubeconfig.parent.glob("*leaver*"))


def test_credentials_that_run_out_in_the_middle_of_a_lesson(lesson: Lesson, tmp_path: Path) -> None:
    config = yaml.safe_load(lesson.cluster.kubeconfig.read_text("utf-8"))
    config["users"][0]["user"]["token"] = "expired"
    path = tmp_path / "expired.kubeconfig"
    path.write_text(yaml.safe_dump(config), "utf-8")
    expired = Lesson(BorrowedCluster("guest", path, lesson.cluster.kubectl_path), lesson.name)
    for attempt in (expired.reset, lambda: expired.read("Pod", "pod2"), lambda: expired.apply("02-pod2")):
        with pytest.raises(LabError, match="does not accept your credentials"):
            attempt()
    with pytest.raises(LabError, match="does not accept your credentials"):
        expired.cluster.exec(lesson.namespace, seats.CLIENT, ["true"])


def test_an_api_server_that_is_gone(lesson: Lesson, tmp_path: Path) -> None:
    config = yaml.safe_load(lesson.cluster.kubeconfig.read_text("utf-8"))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path = tmp_path / "gone.kubeconfig"
    path.write_text(yaml.safe_dump(config), "utf-8")
    gone = Lesson(BorrowedCluster("guest", path, lesson.cluster.kubectl_path), lesson.name)
    with pytest.raises(ClusterGone, match="does not answer") as told:
        gone.reset()
    assert "127.0.0.1:1" in told.value.why


def test_down_removes_what_is_ours_and_nothing_else(
    admin: Cluster, room: pytest.MonkeyPatch, namespaces: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = namespaces()
    monkeypatch.setenv("KUBECONFIG", str(invited(admin, namespace, "tidy", "edit", tmp_path / "config")))
    cluster = context.up("tidy", lambda _: None)
    Lesson(cluster, "02-target-port", say=lambda _: None).apply("05-service-with-targetport-9080")
    admin.core().create_namespaced_service(namespace, a_service("theirs", "theirs"))
    context.down("tidy", lambda _: None)
    assert [one.metadata.name for one in admin.core().list_namespaced_service(namespace).items] == ["theirs"]
    assert not admin.core().list_namespaced_pod(namespace).items
    assert not seats_gone(admin, namespace)
    assert not cluster.kubeconfig.exists()
    said: Said = []
    context.down("tidy", said.append)
    assert "Nothing of the course is known" in said[0]
