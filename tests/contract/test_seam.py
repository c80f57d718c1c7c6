"""What a provider owes the lessons: the four questions of the seam, exec and kubectl, and a Lesson from any state.

The answers are tried, not their words: which provider is behind the cluster is not this file's to know.
"""

import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from labs import seats
from labs.cluster import Address, Cluster, NotHere, Ran
from labs.deploy import ARTICLE_CLUSTER_IP, ARTICLE_NODE_PORT, Lesson
from labs.errors import NotInTime, Refused
from tests.contract.asking import From, Got, side_by_side
from tests.contract.objects import app, cluster_ip, deploy, node_port, pod, pod_ip, port, service

ROUNDS = 15  # Service changes, each asked for once
MAPPED = 30067  # kindconfig.yaml maps it, and the article does not use it


@pytest.fixture(scope="module", autouse=True)
def objects(lesson: Lesson) -> None:
    """Two Pods for Services to point at, first one, then the other."""
    deploy(lesson, app("blue", "blue"), app("green", "green"))


@pytest.fixture(scope="module")
def everywhere(pod_seat: From, node_seats: list[From]) -> list[From]:
    """Every place in the cluster that requests come from."""
    return [pod_seat, *node_seats]


class TestTheClusterItself:
    """Its name, nodes and files."""

    def test_its_nodes_are_the_apis_by_name(self, cluster: Cluster) -> None:
        """Name and InternalIP, sorted; these facts need two."""
        found = {
            one.metadata.name: address.address
            for one in cluster.core().list_node().items
            for address in one.status.addresses
            if address.type == "InternalIP"
        }
        assert [(node.name, node.address) for node in cluster.nodes] == sorted(found.items())
        assert len(cluster.nodes) >= 2

    def test_its_kubeconfig_is_its_owners_alone(self, cluster: Cluster) -> None:
        """Mode 0600: it holds a key to the whole cluster."""
        assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o600


class TestKubectl:
    """cluster.kubectl and lesson.kubectl."""

    def test_uses_this_clusters_kubeconfig(self, cluster: Cluster) -> None:
        """It finds this cluster's nodes, whatever KUBECONFIG says."""
        ran = cluster.kubectl("get", "nodes", "-o", "name")
        assert ran.out.split() == [f"node/{node.name}" for node in cluster.nodes], ran.err

    def test_leaves_its_exit_code_to_the_caller(self, lesson: Lesson) -> None:
        """A failure is an answer, with kubectl's words on stderr."""
        ran = lesson.kubectl("get", "pod", "no-such-pod")
        assert (ran.code, ran.out) == (1, "")
        assert 'pods "no-such-pod" not found' in ran.err

    def test_takes_a_manifest_on_stdin(self, lesson: Lesson) -> None:
        """As `kubectl apply -f -` does."""
        manifest = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"from-stdin"}}'
        ran = lesson.kubectl("apply", "-f", "-", stdin=manifest)
        assert ran.out == "configmap/from-stdin created\n", ran.err

    def test_ends_at_its_limit(self, lesson: Lesson) -> None:
        """A wait for what never comes."""
        with pytest.raises(NotInTime):
            lesson.kubectl("wait", "--for=delete", "pod/blue", "--timeout=60s", limit=1)


class TestExec:
    """cluster.exec, by which all requests from inside are made."""

    def test_keeps_code_stdout_and_stderr_apart(self, lesson: Lesson) -> None:
        """And all of a long output arrives."""
        command = ["sh", "-c", "seq 20000; echo no >&2; exit 3"]
        ran = lesson.cluster.exec(lesson.namespace, seats.CLIENT, command)
        assert (ran.code, ran.err) == (3, "no\n")
        assert ran.out.split() == [str(number) for number in range(1, 20001)]

    def test_passes_arguments_as_they_are(self, lesson: Lesson) -> None:
        """No shell is between."""
        odd = ["a b", "$HOME", "'", "ü", ""]
        ran = lesson.cluster.exec(lesson.namespace, seats.CLIENT, ["printf", r"%s\n", *odd])
        assert ran == Ran(0, "\n".join(odd) + "\n", "")

    def test_goes_to_the_container_that_is_named(self, lesson: Lesson) -> None:
        """Their process 1 tells them apart. Where there are two, one must be named."""
        deploy(lesson, app("two", "two", containers=("productpage", "sidecar")))
        look = ["cat", "/proc/1/cmdline"]
        assert "netexec" in lesson.cluster.exec(lesson.namespace, "two", look, "productpage").out
        assert "pause" in lesson.cluster.exec(lesson.namespace, "two", look, "sidecar").out
        with pytest.raises(Refused, match="a container name must be specified for pod two"):
            lesson.cluster.exec(lesson.namespace, "two", look)

    def test_ends_at_its_limit(self, lesson: Lesson) -> None:
        """The learner gets her cell back."""
        with pytest.raises(NotInTime):
            lesson.cluster.exec(lesson.namespace, seats.CLIENT, ["sleep", "20"], limit=1)

    def test_into_a_pod_that_is_not_there_is_refused(self, lesson: Lesson) -> None:
        """In the API server's words; it is no fault of the cluster."""
        with pytest.raises(Refused, match='pods "no-such-pod" not found'):
            lesson.cluster.exec(lesson.namespace, "no-such-pod", ["true"])

    def test_of_a_program_that_is_not_there_fails(self, lesson: Lesson) -> None:
        """The runtime's words arrive."""
        ran = lesson.cluster.exec(lesson.namespace, seats.CLIENT, ["no-such-program"])
        assert ran.code != 0
        assert "no-such-program" in ran.err

    def test_a_shell_that_stays_open_leaves_the_same(self, lesson: Lesson) -> None:
        """Code, stdout and stderr; and a command has nothing to read."""
        for command in (["sh", "-c", "echo out; echo err >&2; exit 3"], ["printf", "%s\n", "it's $HOME", "Grüße"], ["cat"]):
            ran = lesson.cluster.exec(lesson.namespace, seats.CLIENT, command)
            assert lesson.cluster.exec_in_shell(lesson.namespace, seats.CLIENT, command) == ran

    def test_a_shell_that_stays_open_is_one_process(self, lesson: Lesson) -> None:
        """Each command is its child, or its child's."""
        parent = ["sh", "-c", "cat /proc/$PPID/stat"]  # process, name, state, its parent
        first, second = (lesson.cluster.exec_in_shell(lesson.namespace, seats.CLIENT, parent).out.split() for _ in "ab")
        assert {first[0], first[3]} & {second[0], second[3]} - {"0"}

    def test_a_shell_ends_with_its_pod_and_another_one_is_opened(self, lesson: Lesson) -> None:
        """A learner may delete the Pod that requests are made from."""
        where = lesson.namespace, "asked-again"
        for _ in "ab":
            seats.ensure(lesson.cluster, lesson.namespace, [seats.client_pod(where[1])])
            assert lesson.cluster.exec_in_shell(*where, ["echo", "here"]) == Ran(0, "here\n", "")
            seats.remove_pod(lesson.cluster, *where)
        with pytest.raises(Refused, match="not found"):
            lesson.cluster.exec_in_shell(*where, ["true"])

    def test_a_command_in_a_shell_ends_at_its_limit(self, lesson: Lesson) -> None:
        """And the next one is not kept from running."""
        with pytest.raises(NotInTime, match="still running after 1 s"):
            lesson.cluster.exec_in_shell(lesson.namespace, seats.CLIENT, ["sleep", "20"], limit=1)
        assert lesson.cluster.exec_in_shell(lesson.namespace, seats.CLIENT, ["echo", "next"]).out == "next\n"

    def test_and_the_api_work_side_by_side(self, lesson: Lesson) -> None:
        """The Python client swaps its `request` method while an exec runs; one thread's exec must not hurt another's read."""

        def both(number: int) -> tuple[str, str]:
            ran = lesson.cluster.exec(lesson.namespace, seats.CLIENT, ["echo", str(number)])
            return ran.out.strip(), str(pod(lesson, "blue")["metadata"]["name"])

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(both, range(12))) == [(str(number), "blue") for number in range(12)]


class TestOutside:
    """cluster.outside: the laptop's way to a node port."""

    def test_is_an_address_that_answers_or_a_reason(self, lesson: Lesson) -> None:
        """On kind: kindconfig.yaml maps 30067 to this laptop's 127.0.0.1."""
        answer = lesson.cluster.outside(MAPPED)
        if isinstance(answer, NotHere):
            assert answer.why
            pytest.skip(answer.why)
        deploy(lesson, service("outside", "blue", port(80, 9080, nodePort=MAPPED), type="NodePort"))
        assert isinstance(answer, Address)
        assert From.laptop().hostname(str(answer)) == "blue"


class TestElsewhere:
    """cluster.elsewhere: another machine of the nodes' network."""

    def test_is_none_of_the_nodes_and_reaches_them(self, lesson: Lesson, machine: From, node_seats: list[From]) -> None:
        """An address of its own, and a way to every node port."""
        nodes = set().union(*(seat.addresses() for seat in node_seats))
        own = machine.addresses() - {"127.0.0.1", "::1"}
        assert own
        assert not own & nodes
        deploy(lesson, service("elsewhere", "blue", port(80, 9080), type="NodePort"))
        for node in lesson.cluster.nodes:
            assert machine.hostname(f"{node.address}:{node_port(lesson, 'elsewhere')}") == "blue"

    def test_keeps_code_stdout_and_stderr_apart(self, machine: From) -> None:
        """As exec does."""
        assert machine.run(["sh", "-c", "echo yes; echo no >&2; exit 3"]) == Ran(3, "yes\n", "no\n")

    def test_ends_at_its_limit(self, cluster: Cluster, machine: From) -> None:
        """The learner gets her cell back."""
        with pytest.raises(NotInTime):
            cluster.elsewhere(["sleep", "20"], limit=1)


def test_rules_show_a_service_on_every_node_while_it_is_there(lesson: Lesson, mode: str) -> None:
    """cluster.rules: its ClusterIP and the Pod behind it, in the mode's own writing; nothing of it afterwards."""
    deploy(lesson, service("ruled", "blue", port(80, 9080)))
    address, endpoint = cluster_ip(lesson, "ruled"), pod_ip(lesson, "blue")
    for node in lesson.cluster.nodes:
        text = lesson.cluster.rules(node.name)
        if isinstance(text, NotHere):
            pytest.skip(text.why)
        assert address in text
        assert f"{endpoint}:9080" in text
        assert ("-A KUBE-SERVICES" in text) == (mode == "iptables")
    lesson.remove("Service", "ruled")
    lesson.cluster.settled()
    assert not any(address in str(lesson.cluster.rules(node.name)) for node in lesson.cluster.nodes)


class TestSettled:
    """cluster.settled: when it returns, every node has acted on what was changed before the call."""

    def test_every_node_has_the_new_rules(self, lesson: Lesson, everywhere: list[From]) -> None:
        """Changed again and again, and asked for once, at once, from everywhere: to one Pod, to the other, to nobody's
        port, to nobody. It needs no answer that it expects: a broken Service settles as well as a sound one.
        """
        turns = [("blue", 9080), ("green", 9080), ("blue", 9999), ("green", 9080), ("nobody", 9080)]
        for turn in range(ROUNDS):
            label, target = turns[turn % len(turns)]
            lesson.apply(service("turned", label, port(80, target)))  # applies, and waits for settled()
            address = f"{cluster_ip(lesson, 'turned')}:80"
            answers = side_by_side(lambda seat, address=address: seat.curl(address), everywhere)
            assert [outcome(got) for got in answers] == [expected(label, target)] * len(everywhere), f"turn {turn}"

    def test_the_last_of_several_quick_changes_counts(self, lesson: Lesson, everywhere: list[From]) -> None:
        """Four changes in a breath, and one wait: no node is still at one of the earlier ones."""
        for last in ("blue", "green", "blue"):
            for label in ("green", "blue", "nobody", last):
                lesson.apply(service("quick", label, port(80, 9080)), wait=False)
            lesson.cluster.settled()
            address = f"{cluster_ip(lesson, 'quick')}:80"
            answers = side_by_side(lambda seat, address=address: seat.curl(address), everywhere)
            assert [outcome(got) for got in answers] == [last] * len(everywhere)

    def test_every_node_has_forgotten_a_service_that_was_removed(self, lesson: Lesson, everywhere: list[From]) -> None:
        """Removing is a change, too. Its node port is nobody's afterwards, so it refuses in both modes."""
        for _ in range(3):
            lesson.apply(service("removed", "blue", port(80, 9080), type="NodePort"))
            address = f"{lesson.cluster.nodes[0].address}:{node_port(lesson, 'removed')}"
            assert everywhere[0].hostname(address) == "blue"
            lesson.remove("Service", "removed")
            lesson.cluster.settled()
            answers = side_by_side(lambda seat, address=address: seat.curl(address), everywhere)
            assert [outcome(got) for got in answers] == ["refused"] * len(everywhere)

    def test_every_node_knows_a_new_pod(self, lesson: Lesson, everywhere: list[From]) -> None:
        """A Pod made anew under its old name has another address; no node sends to the old one."""
        deploy(lesson, app("again", "again"), service("again", "again", port(80, 9080)))
        old = pod_ip(lesson, "again")
        lesson.apply(app("again", "again", container_port=9999), anew=True)
        assert pod_ip(lesson, "again") != old
        address = f"{cluster_ip(lesson, 'again')}:80"
        assert [outcome(got) for got in side_by_side(lambda seat: seat.curl(address), everywhere)] == ["again"] * len(
            everywhere
        )

    def test_several_may_settle_at_once(self, lesson: Lesson, everywhere: list[From]) -> None:
        """Two notebooks, two threads: each waits for its own change."""
        together = threading.Barrier(4, timeout=60)

        def turn(number: int) -> list[str]:
            name, label = f"at-once-{number}", ("blue", "green")[number % 2]
            lesson.apply(service(name, label, port(80, 9080)), wait=False)
            together.wait()
            lesson.cluster.settled()
            return [outcome(seat.curl(f"{cluster_ip(lesson, name)}:80")) for seat in everywhere]

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(turn, range(4))) == [[("blue", "green")[n % 2]] * len(everywhere) for n in range(4)]

    def test_returns_when_nothing_was_changed(self, cluster: Cluster) -> None:
        """Twice in a row, well within its limit."""
        cluster.settled()
        cluster.settled()


class TestALessonFromAnyState:
    """Lesson.start() and reset(), whatever was left behind."""

    @pytest.fixture
    def own(self, new_lesson: Callable[..., Lesson]) -> Lesson:
        """A lesson in a namespace of its own, started."""
        own = new_lesson("99-test-any-state", say=lambda _: None)
        own.start()
        return own

    def test_start_empties_the_namespace_and_keeps_the_client(self, own: Lesson) -> None:
        """Again, over Pods and Services that the last run left, one of them not even running."""
        client = pod(own, seats.CLIENT)["metadata"]["uid"]
        deploy(own, app("left", "left"), service("left", "left", port(80, 9080), type="NodePort"))
        never = app("never", "never")
        never["spec"]["containers"][0]["image"] = "registry.invalid/no-such-image"
        own.apply(never, wait=False)
        own.start()
        assert (names(own, "pods"), names(own, "services")) == ([seats.CLIENT], [])
        assert pod(own, seats.CLIENT)["metadata"]["uid"] == client

    def test_start_brings_back_a_client_that_is_gone(self, own: Lesson) -> None:
        """Deleted by a curious learner, or by an eviction."""
        own.remove("Pod", seats.CLIENT)
        own.start()
        assert own.cluster.exec(own.namespace, seats.CLIENT, ["echo", "here"]).out == "here\n"

    def test_start_waits_for_a_namespace_that_is_being_deleted(self, own: Lesson) -> None:
        """`kubectl delete namespace`, and the notebook run again at once."""
        old = own.cluster.core().read_namespace(own.namespace).metadata.uid
        own.cluster.core().delete_namespace(own.namespace, grace_period_seconds=0)
        own.start()
        assert own.cluster.core().read_namespace(own.namespace).metadata.uid != old
        assert names(own, "pods") == [seats.CLIENT]

    def test_reset_keeps_the_namespace_and_the_client(self, own: Lesson) -> None:
        """And returns when the rest is gone."""
        namespace = own.cluster.core().read_namespace(own.namespace).metadata.uid
        client = pod(own, seats.CLIENT)["metadata"]["uid"]
        deploy(own, app("left", "left"), service("left", "left", port(80, 9080)))
        own.reset()
        assert (names(own, "pods"), names(own, "services")) == ([seats.CLIENT], [])
        assert pod(own, seats.CLIENT)["metadata"]["uid"] == client
        assert own.cluster.core().read_namespace(own.namespace).metadata.uid == namespace

    def test_reset_leaves_other_lessons_alone(self, own: Lesson, lesson: Lesson) -> None:
        """Each has its own namespace."""
        own.reset()
        assert {"blue", "green"} <= set(names(lesson, "pods"))


class TestTheArticlesAddresses:
    """10.97.239.58 and 30066 are in one lesson at a time."""

    def test_are_taken_over_by_the_lesson_that_starts_and_that_is_told(self, new_lesson: Callable[..., Lesson]) -> None:
        """The other lesson loses the Service that holds them, and nothing else."""
        said: list[str] = []
        first = new_lesson("99-test-claim-first", say=lambda _: None)
        second = new_lesson("99-test-claim-second", say=said.append)
        first.start()
        first.apply("07-service-nodeport-30066", wait=False)
        first.apply(service("another", "productpage", port(80)), wait=False)
        with pytest.raises(Refused, match="provided IP is already allocated"):
            # What would happen without the claim; asked in the third lesson's place, which has not started.
            self.unclaimed(new_lesson).apply("05-service-with-targetport-9080", wait=False)
        second.start()
        [told] = said
        for part in (ARTICLE_CLUSTER_IP, str(ARTICLE_NODE_PORT), "Service productpage in namespace test-claim-first"):
            assert part in told
        assert names(first, "services") == ["another"]
        second.apply("07-service-nodeport-30066", wait=False)
        assert (cluster_ip(second, "productpage"), node_port(second, "productpage")) == (ARTICLE_CLUSTER_IP, ARTICLE_NODE_PORT)

    def test_starting_again_says_nothing_where_nobody_else_has_them(self, new_lesson: Callable[..., Lesson]) -> None:
        """A lesson's own Service goes with its reset, without a word."""
        said: list[str] = []
        own = new_lesson("99-test-claim-second", say=said.append)
        own.start()
        own.apply("07-service-nodeport-30066", wait=False)
        own.start()
        assert said == []

    @staticmethod
    def unclaimed(new_lesson: Callable[..., Lesson]) -> Lesson:
        """A namespace that exists, of a lesson that did not start."""
        third = new_lesson("99-test-claim-third", say=lambda _: None)
        third.prepare()
        return third


def outcome(got: Got) -> str:
    """The Pod that answered, "refused", or curl's exit code."""
    return got.body if got.answered else "refused" if got.refused else f"exit {got.code}"


def expected(label: str, target: int) -> str:
    """What a Service to these Pods and that port must give."""
    return label if label in ("blue", "green") and target == 9080 else "refused"


def names(lesson: Lesson, kind: str) -> list[str]:
    """The names of a lesson's Pods or Services now, sorted."""
    core = lesson.cluster.core()
    read = core.list_namespaced_pod if kind == "pods" else core.list_namespaced_service
    return sorted(one.metadata.name for one in read(lesson.namespace).items)
