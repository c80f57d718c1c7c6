"""Exercises of lesson 04: the node port, the nodes, and this laptop."""

from labs.checks.exercise import Exercise, Goal, Needs
from labs.deploy import ARTICLE_NODE_PORT
from labs.exercises.pieces import PRODUCTPAGE, patch, pod, port, replace, service, target
from labs.probe import Place, Way

LESSON = "04-node-port"
EVERY_NODE = Goal(way=Way.NODE, place=Place.MACHINE)
THIS_LAPTOP = Goal(way=Way.LAPTOP_LOCALHOST, place=Place.LAPTOP)
OUTSIDE = (Needs.MACHINE, Needs.NODE_PORT)


EXERCISES = (
    Exercise(
        name="no-door-outside",
        level=1,
        lesson=LESSON,
        story=(
            "Inside the cluster everything answers.",
            "Another machine of the same network has the nodes' addresses, and no port to ask there.",
        ),
        task="Let another machine get an answer from every node, at a node port of productpage's port 9999.",
        objects=(pod(), service()),
        goals=(Goal(), EVERY_NODE),
        hints=(
            "What type is the Service?",
            "Which types open a port on every node? (There is more than one.)",
        ),
        solution=(patch(replace("/spec/type", "NodePort")),),
        moral="Type NodePort keeps all that a ClusterIP Service has, and adds a port on every node.",
        kept_pods=("pod2",),
        needs=OUTSIDE,
    ),
    Exercise(
        name="open-door-nobody-home",
        level=2,
        lesson=LESSON,
        story=(
            "The node port is there, on every node. Whoever asks it is refused.",
            "So the firewall must be to blame, says everybody.",
        ),
        task="Let another machine get an answer from every node, without touching the Pod.",
        objects=(pod(), service(port(9999, 9999), type="NodePort")),
        goals=(EVERY_NODE,),
        hints=(
            "Does the ClusterIP answer, inside? Begin there.",
            "A node port leads to the same Endpoints as the ClusterIP.",
        ),
        solution=(patch(target(9080)),),
        moral="A node port is one more door to the same room. Look first whether anybody is in the room.",
        kept_pods=("pod2",),
        needs=OUTSIDE,
    ),
    Exercise(
        name="another-door",
        level=2,
        lesson=LESSON,
        story=(
            f"This laptop reaches node port {ARTICLE_NODE_PORT} of the cluster, and the Service has another one.",
            "On the nodes themselves it answers.",
        ),
        task="Let productpage answer this laptop, at a port of its localhost, without touching the Pod.",
        objects=(pod(), service(port(9999, 9080), type="NodePort")),
        goals=(THIS_LAPTOP,),
        hints=(
            "Which node port did the API server choose? `kubectl get service productpage`.",
            "`python -m labs status` says which node ports answer on this laptop, and where.",
            f"nodePort can be asked for: {ARTICLE_NODE_PORT}.",
        ),
        solution=(patch(replace("/spec/ports/0/nodePort", ARTICLE_NODE_PORT)),),
        moral="kind maps single node ports to the laptop, and only those lead there. Left out, nodePort is any free number.",
        kept_pods=("pod2",),
        needs=(Needs.LAPTOP, Needs.NODE_PORT),
        mode="The laptop's way is the provider's: on kind a mapping (extraPortMappings). It is not part of Kubernetes.",
    ),
    Exercise(
        name="half-of-the-nodes",
        level=4,
        lesson=LESSON,
        story=(
            "Some nodes answer another machine, others do not, and all of them run the same software.",
            "The clients have a list of all nodes, and take the next one each time.",
        ),
        task="Let another machine get an answer from every node.",
        objects=(pod(), service(port(9999, 9080), type="NodePort", externalTrafficPolicy="Local")),
        goals=(Goal(pods=(), way=Way.NODE, place=Place.MACHINE),),
        hints=(
            "Which node answers? And where does the Pod run? `kubectl get pods -o wide`.",
            "`kubectl get service productpage -o yaml`: two fields end in TrafficPolicy.",
            "Either requests may pass from node to node, or every node has a Pod.",
        ),
        solution=(patch(replace("/spec/externalTrafficPolicy", "Cluster")),),
        moral="externalTrafficPolicy: Local shows the application the true client, and leaves out nodes without a Pod.",
        needs=(*OUTSIDE, Needs.TWO_NODES),
        mode="A node without a Pod drops the request: nothing comes back, in both modes of kube-proxy.",
    ),
    Exercise(
        name="door-and-room",
        level=4,
        lesson=LESSON,
        story=(
            "Outside: some nodes do not answer. Inside: the Service refuses.",
            "Two teams are at work, and each waits for the other.",
        ),
        task="Let another machine get an answer from every node, without touching the Pod.",
        objects=(
            pod(),
            service(
                port(9999, 9080),
                selector={"app": "productpage", "version": "v1"},
                type="NodePort",
                externalTrafficPolicy="Local",
            ),
        ),
        goals=(EVERY_NODE,),
        hints=(
            "From the inside out: is any Pod behind the Service?",
            "A selector with two labels asks for both.",
            "When the ClusterIP answers: which nodes do not, and what have they in common?",
        ),
        solution=(patch(replace("/spec/selector", PRODUCTPAGE), replace("/spec/externalTrafficPolicy", "Cluster")),),
        moral="Mend from the inside out: an outer door cannot answer before the inner one does.",
        kept_pods=("pod2",),
        kept_labels=True,
        needs=(*OUTSIDE, Needs.TWO_NODES),
    ),
    Exercise(
        name="every-door-wrong",
        level=5,
        lesson=LESSON,
        story=(
            "Four numbers, and a request from this laptop that needs all of them.",
            "None of them was looked up.",
        ),
        task="Let productpage:9999 answer in the cluster, and on this laptop's localhost, without touching the Pod.",
        objects=(
            pod(container_port=9999, port_name="http"),
            service(port(9080, "http"), type="NodePort"),
        ),
        goals=(Goal(), THIS_LAPTOP),
        hints=(
            "Process, targetPort, port, nodePort: write down what each is, and what it has to be.",
            "A name stands for the number that the Pod declares, not for the one that its process listens on.",
            f"The laptop reaches node port {ARTICLE_NODE_PORT} (`python -m labs status`).",
        ),
        solution=(
            patch(replace("/spec/ports/0/port", 9999), target(9080), replace("/spec/ports/0/nodePort", ARTICLE_NODE_PORT)),
        ),
        moral="podIP:targetPort, clusterIP:port, nodeIP:nodePort: each address goes with its own number.",
        kept_pods=("pod2",),
        needs=(Needs.LAPTOP, Needs.NODE_PORT),
    ),
)
