"""From nothing to the first curl through a Service, in a process of its own: `python -m tests.bench.first_curl`.

Prints a line when the cluster is ready, and one when a Pod has answered. Whoever starts it has the clock.
"""

import sys
import threading

from kubernetes import client

from labs import providers, seats
from labs.deploy import ARTICLE_CLUSTER_IP, Lesson

UP, ANSWERED = "up", "answered"
_CURL = ["curl", "-sS", "--noproxy", "*", "--max-time", "5", f"http://{ARTICLE_CLUSTER_IP}:9999/hostname"]


def main() -> int:
    # Its first use imports hundreds of modules. A notebook's kernel has them before it asks; here it is done meanwhile.
    threading.Thread(target=client.CoreV1Api).start()
    cluster = providers.up(lambda _: None)
    print(UP, flush=True)
    lesson = Lesson(cluster, "97-first-curl", say=lambda _: None)
    lesson.start()
    applied = [*lesson.apply("02-pod2", wait=False), *lesson.apply("05-service-with-targetport-9080", wait=False)]
    pod = next(one.name for one in applied if one.kind == "Pod")
    lesson.wait([pod])
    ran = cluster.exec(lesson.namespace, seats.CLIENT, _CURL)
    if ran.out.strip() != pod:
        print(ran.err or ran.out, file=sys.stderr)
        return 1
    print(ANSWERED, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
