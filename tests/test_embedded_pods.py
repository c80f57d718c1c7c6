"""What a kubelet computes for a Pod: status, environment, files, images, logs, probes' verdicts. No namespaces."""

import asyncio
import socket
from typing import Any

import pytest

from labs.embedded.kubelet import environment, images, logs, probes, probing, status
from labs.embedded.kubelet.contained import Seat, contained, exec_words
from labs.embedded.plan import AddressPlan
from labs.embedded.spawn import DEFAULT_CAPABILITIES

Object = dict[str, Any]
NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z"


def container(name: str = "web", ready: bool = True, last: Object | None = None, **state: Object) -> Object:
    return {"name": name, "ready": ready, "lastState": last or {}, "state": state or {"running": {}}}


def ended(code: int) -> Object:
    return {"terminated": {"exitCode": code}}


def pod(**spec: Any) -> Object:
    return {"metadata": {"name": "web", "namespace": "shop", "uid": "u1"}, "spec": {"containers": [], **spec}}


class TestPhase:
    """As getPhase has it."""

    @pytest.mark.parametrize(
        ("containers", "policy", "phase"),
        [
            ([container()], "Always", "Running"),
            ([container(waiting={"reason": "ContainerCreating"})], "Always", "Pending"),
            ([container(waiting={"reason": "CrashLoopBackOff"}, last=ended(1))], "Always", "Running"),
            ([container(waiting={"reason": "ErrImagePull"}), container()], "Always", "Pending"),
            ([container(**ended(0))], "Always", "Running"),
            ([container(**ended(0))], "Never", "Succeeded"),
            ([container(**ended(1)), container(**ended(0))], "Never", "Failed"),
            ([container(**ended(1))], "OnFailure", "Running"),
            ([container(**ended(0))], "OnFailure", "Succeeded"),
            ([container(**ended(1)), container()], "Never", "Running"),
        ],
    )
    def test_of_containers(self, containers: list[Object], policy: str, phase: str) -> None:
        assert status.phase(status.Containers([], containers), policy) == phase

    @pytest.mark.parametrize(
        ("init", "policy", "phase"),
        [
            (container(), "Always", "Pending"),
            (container(**ended(1)), "Never", "Failed"),
            (container(**ended(1)), "Always", "Pending"),
        ],
    )
    def test_while_init_containers_are_not_through(self, init: Object, policy: str, phase: str) -> None:
        assert status.phase(status.Containers([init], [container()]), policy) == phase


class TestConditions:
    """Their words, and when they changed."""

    def test_name_the_containers_that_are_not_ready(self) -> None:
        found = status.conditions([], 2, status.Containers([], [container("a", False), container("b")]), "Running", True, NOW)
        by_type = {one["type"]: one for one in found}
        assert by_type["Ready"]["message"] == "containers with unready status: [a]"
        assert by_type["ContainersReady"]["status"] == "False"
        assert by_type["PodScheduled"] == {
            "type": "PodScheduled", "status": "True", "observedGeneration": 2, "lastProbeTime": None, "lastTransitionTime": NOW,
        }  # fmt: skip

    def test_keep_their_time_while_they_stay(self) -> None:
        first = status.conditions([], 1, status.Containers([], [container(ready=False)]), "Running", True, NOW)
        second = status.conditions(first, 1, status.Containers([], [container()]), "Running", True, LATER)
        times = {one["type"]: one["lastTransitionTime"] for one in second}
        assert (times["Ready"], times["Initialized"]) == (LATER, NOW)

    def test_keep_those_of_others(self) -> None:
        mine = {"type": "example.com/gate", "status": "True"}
        assert mine in status.conditions([mine], 1, status.Containers([], []), "Pending", False, NOW)


class TestEnvironment:
    """Variables, commands, files."""

    def test_of_a_service(self) -> None:
        service = {
            "metadata": {"name": "my-app", "namespace": "shop"},
            "spec": {
                "clusterIP": "10.96.0.7",
                "ports": [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}],
            },
        }
        assert environment.of_service(service) == {
            "MY_APP_SERVICE_HOST": "10.96.0.7",
            "MY_APP_SERVICE_PORT": "80",
            "MY_APP_SERVICE_PORT_HTTP": "80",
            "MY_APP_SERVICE_PORT_DNS": "53",
            "MY_APP_PORT": "tcp://10.96.0.7:80",
            "MY_APP_PORT_80_TCP": "tcp://10.96.0.7:80",
            "MY_APP_PORT_80_TCP_PROTO": "tcp",
            "MY_APP_PORT_80_TCP_PORT": "80",
            "MY_APP_PORT_80_TCP_ADDR": "10.96.0.7",
            "MY_APP_PORT_53_UDP": "udp://10.96.0.7:53",
            "MY_APP_PORT_53_UDP_PROTO": "udp",
            "MY_APP_PORT_53_UDP_PORT": "53",
            "MY_APP_PORT_53_UDP_ADDR": "10.96.0.7",
        }

    def test_tells_of_neighbours_only_where_links_are_wanted(self) -> None:
        def service(name: str, namespace: str, ip: str = "10.96.0.9") -> Object:
            return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": [{"port": 1}]}}

        all_of_them = [
            service("kubernetes", "default"),
            service("a", "shop"),
            service("b", "else"),
            service("c", "shop", "None"),
        ]
        names = lambda links: [one["metadata"]["name"] for one in environment.told_of(all_of_them, "shop", links)]  # noqa: E731
        assert names(True) == ["kubernetes", "a"]
        assert names(False) == ["kubernetes"]

    def test_fills_in_what_came_before(self) -> None:
        spec = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$$(A)$(C)"},
                        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]}  # fmt: skip
        found = environment.variables(pod(), spec, "10.244.0.5", [], lambda kind, name: None)
        assert (found["B"], found["IP"], found["HOSTNAME"]) == ("1$(A)$(C)", "10.244.0.5", "web")

    def test_says_what_is_missing(self) -> None:
        spec = {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}]}
        with pytest.raises(environment.Missing, match='configmap "settings" not found'):
            environment.variables(pod(), spec, "", [], lambda kind, name: None)
        with pytest.raises(environment.Missing, match="couldn't find key a in ConfigMap shop/settings"):
            environment.variables(pod(), spec, "", [], lambda kind, name: {"kind": "ConfigMap", "data": {}})

    @pytest.mark.parametrize(
        ("spec", "command"),
        [
            ({}, ["/agnhost", "pause"]),
            ({"args": ["netexec"]}, ["/agnhost", "netexec"]),
            ({"command": ["sh"]}, ["sh"]),
            ({"command": ["sh"], "args": ["-c", "$(A)"]}, ["sh", "-c", "1"]),
        ],
    )
    def test_command_and_args(self, spec: Object, command: list[str]) -> None:
        image = images.find("registry.k8s.io/e2e-test-images/agnhost:2.53")
        assert image is not None
        assert environment.command(spec, image, {"A": "1"}) == command

    def test_resolv_conf_by_policy(self) -> None:
        plan = AddressPlan("x")
        inside = "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
        assert environment.resolv_conf(pod(), plan) == inside
        assert environment.resolv_conf(pod(hostNetwork=True), plan) == "\n"
        assert environment.resolv_conf(pod(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"), plan) == inside
        own = {"nameservers": ["1.1.1.1"], "searches": ["a.b"], "options": [{"name": "ndots", "value": "2"}]}
        assert (
            environment.resolv_conf(pod(dnsPolicy="None", dnsConfig=own), plan)
            == "search a.b\nnameserver 1.1.1.1\noptions ndots:2\n"
        )

    def test_hosts_with_a_subdomain(self) -> None:
        text = environment.hosts(pod(hostname="h", subdomain="s"), "10.244.0.5")
        assert text.splitlines()[-1] == "10.244.0.5\th.s.shop.svc.cluster.local\th"


class TestImages:
    """The short table."""

    @pytest.mark.parametrize("name", ["registry.k8s.io/e2e-test-images/agnhost:2.53", "mirror.example:5000/x/agnhost:2.9",
                                      "agnhost", "busybox", "docker.io/library/busybox:1.36", "curlimages/curl:8"])  # fmt: skip
    def test_has(self, name: str) -> None:
        assert images.find(name) is not None

    @pytest.mark.parametrize("name", ["nginx", "registry.invalid/no-such-image", "agnhost:0.0.0", "agnhosts", "Busybox!"])
    def test_has_not(self, name: str) -> None:
        assert images.find(name) is None

    def test_names_in_full(self) -> None:
        assert images.full_name("nginx") == "docker.io/library/nginx:latest"
        assert images.full_name("a/b:1") == "docker.io/a/b:1"
        assert images.full_name("localhost/b") == "localhost/b:latest"


class TestContained:
    """From securityContext and volumeMounts to a container."""

    def test_of_a_restricted_pod(self, tmp_path: Any) -> None:
        seat = Seat(0, "", "web", tmp_path, {"told": "u1/volumes/told"})
        closed = {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        spec = {
            "name": "c",
            "image": "agnhost",
            "securityContext": closed,
            "volumeMounts": [{"name": "told", "mountPath": "/told"}],
        }
        found = contained({"securityContext": {"runAsUser": 65534}}, spec, seat, {})
        assert (found.user, found.group, found.read_only, found.no_new_privileges, found.capabilities) == (
            65534,
            65534,
            True,
            True,
            (),
        )
        assert [(one.path, one.source) for one in found.volumes] == [("/told", "u1/volumes/told")]

    def test_capabilities(self, tmp_path: Any) -> None:
        def kept(**given: list[str]) -> tuple[str, ...]:
            spec = {"name": "c", "image": "busybox", "securityContext": {"capabilities": given}}
            return contained({}, spec, Seat(0, "", "web", tmp_path, {}), {}).capabilities

        assert set(kept()) == set(DEFAULT_CAPABILITIES)
        assert kept(drop=["ALL"], add=["NET_BIND_SERVICE"]) == ("NET_BIND_SERVICE",)
        assert "SYS_ADMIN" not in kept(add=["SYS_ADMIN"])  # it would own the cluster's namespaces
        assert "NET_RAW" not in kept(drop=["NET_RAW"])

    def test_why_a_command_cannot_be_run(self) -> None:
        assert exec_words(FileNotFoundError(2, "No such file or directory"), ["nosuch"]) == "executable file not found in $PATH"
        assert (
            exec_words(FileNotFoundError(2, "No such file or directory"), ["/no/such"])
            == "stat /no/such: no such file or directory"
        )
        assert exec_words(PermissionError(13, "Permission denied"), ["/etc"]) == "permission denied"


def read(log: logs.Log, **options: Any) -> bytes:
    """A log that has ended, as `kubectl logs` asks for it."""

    async def all_of_it() -> bytes:
        whole = {"follow": False, "tail_lines": None, "since_seconds": None, "timestamps": False, "limit_bytes": None}
        return b"".join([part async for part in logs.read(log, **{**whole, **options})])

    return asyncio.run(all_of_it())


class TestLogs:
    """What is kept, and what is shown of it."""

    def test_lines_come_whole_from_pieces(self) -> None:
        log = logs.Log()
        for channel, piece in ((1, b"one\ntw"), (2, b"err\n"), (1, b"o\nthr")):
            log.write(channel, piece)
        log.end()
        assert read(log) == b"one\nerr\ntwo\nthr"

    def test_options(self) -> None:
        log = logs.Log()
        log.write(1, b"1\n2\n3\n")
        assert read(log, tail_lines=2) == b"2\n3\n"
        assert read(log, tail_lines=0) == b""
        assert read(log, limit_bytes=3) == b"1\n2"
        assert read(log, timestamps=True).splitlines()[0].endswith(b"Z 1")
        assert read(log, since_seconds=3600) == b"1\n2\n3\n"

    def test_the_oldest_lines_go(self) -> None:
        log = logs.Log()
        for _ in range(3):
            log.write(1, b"x" * (logs.KEPT // 2 - 1) + b"\n")
        assert len(read(log)) == logs.KEPT

    def test_following_ends_with_the_container(self) -> None:
        async def follow() -> list[bytes]:
            log = logs.Log()
            log.write(1, b"before\n")
            asyncio.get_running_loop().call_later(0.01, log.write, 1, b"after\n")
            asyncio.get_running_loop().call_later(0.02, log.end)
            return [line.data async for line in log.follow()]

        assert asyncio.run(follow()) == [b"before\n", b"after\n"]


class Told:
    """A container whose probes are run: remembers what they say."""

    def __init__(self, **spec: Any) -> None:
        self.spec: Object = {"name": "web", **spec}
        self.said: list[str] = []

    def tell(self, kind: str, reason: str, message: str) -> None:
        self.said.append(f"{reason}: {message}")

    def started(self) -> None:
        self.said.append("started")

    def ready(self, ready: bool) -> None:
        self.said.append(f"ready {ready}")

    def failed(self, kind: str) -> None:
        self.said.append(f"failed {kind}")


async def _nothing(command: list[str], limit: float) -> tuple[int, str]:
    return 0, ""


def asker(spec: Object, execute: probes.Execute = _nothing) -> probes.Asker:
    def new() -> socket.socket:
        made = socket.socket()
        made.setblocking(False)
        return made

    return probes.Asker("127.0.0.1", spec, new, execute)


class TestProbes:
    """Their verdicts and words."""

    def ask(self, probe: Object, spec: Object | None = None, execute: probes.Execute = _nothing) -> probes.Verdict:
        return asyncio.run(asker(spec or {}, execute).ask(probe))

    def test_tcp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            assert self.ask({"tcpSocket": {"port": port}}).result == probes.SUCCESS
        found = self.ask({"tcpSocket": {"port": port}})
        assert found == probes.Verdict(probes.FAILURE, f"dial tcp 127.0.0.1:{port}: connect: connection refused")

    @pytest.mark.parametrize(("code", "result"), [(200, probes.SUCCESS), (399, probes.SUCCESS), (412, probes.FAILURE)])
    def test_http(self, code: int, result: str) -> None:
        async def ask() -> probes.Verdict:
            async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                asked = await reader.readuntil(b"\r\n\r\n")
                assert asked.startswith(b"GET /here HTTP/1.1\r\n")
                assert b"User-Agent: kube-probe/" in asked
                writer.write(f"HTTP/1.1 {code} x\r\nContent-Length: 0\r\n\r\n".encode())
                writer.close()

            async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
                port = server.sockets[0].getsockname()[1]
                spec = {"ports": [{"name": "web", "containerPort": port}]}
                return await asker(spec).ask({"httpGet": {"path": "/here", "port": "web"}})

        found = asyncio.run(ask())
        assert found.result == result
        assert result == probes.SUCCESS or found.words == f"HTTP probe failed with statuscode: {code}"

    def test_a_name_that_is_not_declared(self) -> None:
        found = self.ask({"httpGet": {"port": "web"}})
        assert found == probes.Verdict(probes.ERRORED, 'strconv.Atoi: parsing "web": invalid syntax')

    def test_a_command(self) -> None:
        async def fails(command: list[str], limit: float) -> tuple[int, str]:
            return 1, "no file"

        async def late(command: list[str], limit: float) -> tuple[int, str]:
            raise TimeoutError

        assert self.ask({"exec": {"command": ["true"]}}).result == probes.SUCCESS
        assert self.ask({"exec": {"command": ["false"]}}, execute=fails) == probes.Verdict(probes.FAILURE, "no file")
        assert "timed out after 1s" in self.ask({"exec": {"command": ["sleep", "9"]}}, execute=late).words

    def test_thresholds(self) -> None:
        """Ready at the first success; not ready after three failures, not before; alive until as many."""
        answers = iter([0, 1, 1, 0, 1, 1, 1, 1])

        async def execute(command: list[str], limit: float) -> tuple[int, str]:
            code = next(answers, None)
            if code is None:
                raise asyncio.CancelledError
            return code, "no"

        told = Told(readinessProbe={"exec": {"command": ["x"]}, "periodSeconds": 0.001})
        asyncio.run(probing.run(told, asker(told.spec, execute)))
        states = [one for one in told.said if one.startswith("ready")]
        assert states == ["ready True", "ready False"]
        assert told.said.count("Unhealthy: Readiness probe failed: no") == 6
        assert told.said.index("ready False") == len(told.said) - 2

    def test_nothing_else_is_probed_before_the_startup_probe_has_succeeded(self) -> None:
        asked: list[str] = []

        async def execute(command: list[str], limit: float) -> tuple[int, str]:
            asked.append(command[0])
            if asked.count("live") == 2:
                raise asyncio.CancelledError
            return (0 if asked.count("start") > 2 else 1), ""

        told = Told(
            startupProbe={"exec": {"command": ["start"]}, "periodSeconds": 0.001, "failureThreshold": 9},
            livenessProbe={"exec": {"command": ["live"]}, "periodSeconds": 0.001},
        )
        asyncio.run(probing.run(told, asker(told.spec, execute)))
        assert asked[:4] == ["start", "start", "start", "live"]
        assert "started" in told.said
