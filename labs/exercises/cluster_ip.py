"""Exercises of lesson 03: a Service's port, its ClusterIP and name, and which Pods are behind it."""

import copy

from labs.checks.exercise import HOSTNAME, OTHER_NODE, Awaited, Exercise, Goal, Needs
from labs.deploy import Manifest, read_manifests
from labs.exercises.pieces import PRODUCTPAGE, anew, kubectl, patch, pod, port, replace, service, target

LESSON = "03-port-and-cluster-ip"
BY_MODE = (
    "What a wrong port on a ClusterIP gets depends on kube-proxy: refused at once in nftables mode, no answer in iptables mode."
)


def on_another_node(name: str = "pod2") -> Manifest:
    """A Pod that is not on the client's node."""
    one = pod(name)
    one["spec"]["nodeSelector"] = {HOSTNAME: OTHER_NODE}
    return one


def ready_when_told() -> Manifest:
    """The course's Pod that becomes Ready when a file is there."""
    return copy.deepcopy(read_manifests("14-pod-ready-when-told")[0])


EXERCISES = (
    Exercise(
        name="asked-on-another-port",
        level=1,
        lesson=LESSON,
        story=(
            "All clients ask productpage:9999. The Service was made with the port that everybody knows, 80.",
            "The Pod is well, the Endpoints are filled.",
        ),
        task="Let productpage:9999 answer, without touching the Pod.",
        objects=(pod(), service(port(80, 9080))),
        goals=(Goal(),),
        hints=("Which ports does the ClusterIP have? `kubectl get service productpage`.", "A client types `port`."),
        solution=(patch(replace("/spec/ports/0/port", 9999)),),
        moral="A ClusterIP has the ports that the Service lists, and no other.",
        kept_pods=("pod2",),
        mode=BY_MODE,
    ),
    Exercise(
        name="selector-with-a-slip",
        level=1,
        lesson=LESSON,
        story=(
            "Ports are right, all of them: three people looked.",
            "Nobody looked at the selector.",
        ),
        task="Let productpage:9999 answer. The Pod may get another label, but it must go on running.",
        objects=(pod(), service(selector={"app": "prodcutpage"})),
        goals=(Goal(),),
        hints=(
            "`kubectl describe service productpage`: Endpoints is empty. Who fills it?",
            "`kubectl get pods --show-labels`, and the line Selector: letter by letter.",
        ),
        solution=(patch(replace("/spec/selector", PRODUCTPAGE)),),
        moral="A selector that matches nothing is no error: the Service is there, and refuses.",
        kept_pods=("pod2",),
    ),
    Exercise(
        name="nobody-behind",
        level=2,
        lesson=LESSON,
        story=(
            "This Service was made without a selector: somebody meant to write its Endpoints by hand, and did not.",
            "Do not follow that plan. The next Pod will have another address.",
        ),
        task="Let productpage:9999 answer, so that it still does when Pods come and go.",
        objects=(pod(), service(selector=None)),
        goals=(Goal(),),
        hints=(
            "Who writes the EndpointSlices of a Service that has a selector?",
            "Which label has pod2? `kubectl set selector service productpage …` knows what to do with it.",
        ),
        solution=(kubectl("set", "selector", "service", "productpage", "app=productpage"),),
        moral="The selector is what keeps Endpoints true. What is written by hand is right until the next Pod.",
        kept_pods=("pod2",),
    ),
    Exercise(
        name="someone-elses-pod",
        level=3,
        lesson=LESSON,
        story=(
            "The shop has two applications, productpage (pod2) and reviews, and every Pod wears the label shop=yes.",
            "Since reviews was deployed, half of the requests to productpage are answered by it.",
        ),
        task="Let productpage:9999 be answered by pod2 alone. Both Pods go on running; labels may change.",
        objects=(
            pod("pod2", {"app": "productpage", "shop": "yes"}),
            pod("reviews", {"app": "reviews", "shop": "yes"}),
            service(selector={"shop": "yes"}),
        ),
        goals=(Goal(),),
        hints=(
            "`kubectl get pods --show-labels` beside the line Selector: how many Pods does it match?",
            "Every Pod with these labels is behind the Service, whoever deployed it.",
            "Let the selector ask for what only pod2 has.",
        ),
        solution=(patch(replace("/spec/selector", PRODUCTPAGE)),),
        moral="A selector asks for labels, not for an application: whoever wears them gets the requests.",
        kept_pods=("pod2", "reviews"),
    ),
    Exercise(
        name="ready-when-told",
        level=2,
        lesson=LESSON,
        story=(
            "The process answers on its own address from the first second.",
            "Its Pod calls itself ready only when the file /told/ready is there, and nobody made it.",
        ),
        task="Let productpage:9999 answer, without making the Pod anew.",
        objects=(ready_when_told(), service()),
        goals=(Goal(pods=("ready-when-told",)),),
        hints=(
            "`kubectl get endpointslices -o yaml`: the address is there. What does `conditions` say?",
            "`kubectl exec ready-when-told -- …` can make the file.",
        ),
        solution=(kubectl("exec", "ready-when-told", "--", "touch", "/told/ready"),),
        moral="Ready is the Pod's own word, and a Service takes it at its word.",
        kept_pods=("ready-when-told",),
        awaited={"ready-when-told": Awaited.RUNNING},
    ),
    Exercise(
        name="without-an-address",
        level=2,
        lesson=LESSON,
        story=(
            "Somebody had read that clusterIP: None is faster, and it is: it has no ClusterIP at all.",
            "productpage:9999 is refused; that the Service says port 9999, targetPort 9080 changes nothing.",
        ),
        task="Let productpage:9999 answer.",
        objects=(pod(), service(clusterIP="None")),
        goals=(Goal(pods=()),),
        hints=(
            "What does the name productpage stand for now? `matrix()` shows it.",
            "Without a ClusterIP nobody turns port into targetPort.",
            "A Service that exists cannot be given a ClusterIP: delete it and make it again. Or let the Pod listen on 9999.",
        ),
        solution=(anew(service()),),
        moral="A headless Service is a name for Pods' addresses: whoever asks it has to know the process's own port.",
    ),
    Exercise(
        name="another-protocol",
        level=3,
        lesson=LESSON,
        story=(
            "The numbers are right, the selector is right, the Endpoints are filled with the right address and port.",
            "A monitor that speaks UDP is pleased. curl is not.",
        ),
        task="Let productpage:9999 answer by TCP, without touching the Pod.",
        objects=(pod(), service(port(9999, 9080, protocol="UDP"))),
        goals=(Goal(),),
        hints=(
            "Read the line Port of `kubectl describe service productpage` to its end.",
            "9999/UDP and 9999/TCP are two ports.",
        ),
        solution=(patch(replace("/spec/ports/0/protocol", "TCP")),),
        moral="A port of a Service is a number and a protocol; the default is TCP, and curl speaks it.",
        kept_pods=("pod2",),
        mode=BY_MODE,
    ),
    Exercise(
        name="another-name",
        level=3,
        lesson=LESSON,
        story=(
            "productpage was to move to another company, so its Service became an ExternalName for details.example.",
            "The move was called off. pod2 runs here, as it always did.",
        ),
        task="Let productpage:9999 answer, without touching the Pod.",
        objects=(pod(), service(type="ExternalName", externalName="details.example")),
        goals=(Goal(),),
        hints=(
            "What is in the columns TYPE and CLUSTER-IP of `kubectl get service`?",
            "An ExternalName is a line in DNS. Its selector and ports count for nothing.",
        ),
        solution=(anew(service()),),
        moral="Of the Service types, ExternalName alone has no address, no Endpoints and no ports of its own.",
        kept_pods=("pod2",),
    ),
    Exercise(
        name="only-from-its-node",
        level=4,
        lesson=LESSON,
        story=(
            "The Service answers whoever asks from pod2's own node. The client is on another one.",
            "Everybody who tested it had sat on the right node.",
        ),
        task="Let productpage:9999 answer the client.",
        objects=(on_another_node(), service(internalTrafficPolicy="Local")),
        goals=(Goal(pods=()),),
        hints=(
            "`kubectl get pods -o wide`: who is where?",
            "`kubectl get service productpage -o yaml`: two fields end in TrafficPolicy.",
        ),
        solution=(patch(replace("/spec/internalTrafficPolicy", "Cluster")),),
        moral="internalTrafficPolicy: Local keeps requests on the node where they begin, even where no Pod is there.",
        needs=(Needs.TWO_NODES,),
    ),
    Exercise(
        name="three-things-wrong",
        level=5,
        lesson=LESSON,
        story=(
            "One Service, typed from memory.",
            "The number that clients ask, the number of the process, the Pods: it has something of each.",
        ),
        task="Let productpage:9999 answer, without touching the Pod or its labels.",
        objects=(pod(), service(port(999, 908), selector={"app": "product-page"})),
        goals=(Goal(),),
        hints=(
            "Three things, in the order of a request's way: port, selector, targetPort.",
            "`explain()` names the first that stops a request. Mend it, and ask again.",
        ),
        solution=(patch(replace("/spec/ports/0/port", 9999), target(9080), replace("/spec/selector", PRODUCTPAGE)),),
        moral="A request has several hops, and each may be wrong by itself: go along them in their order.",
        kept_pods=("pod2",),
        kept_labels=True,
        mode=BY_MODE,
    ),
)
