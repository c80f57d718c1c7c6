"""Has a running cluster put right, from outside: lets its processes go on, and asks it to look after itself (health.py).

Does not start or end clusters (launch.py does); what the cluster cannot put right is the caller's to judge.
"""

import json
import os
import signal
import ssl
import urllib.error
import urllib.request
from dataclasses import replace

from labs.embedded import launch, processes
from labs.embedded.health_report import CHECK, Report

ANSWERING = 15.0  # seconds for a cluster to answer at all
_LOOKING = 60.0  # seconds for it to look after itself


def wake(running: launch.Running) -> list[str]:
    """Lets those of the cluster's own processes go on that somebody has stopped (SIGSTOP); which they were."""
    own = dict.fromkeys(processes.children(running.pid), "the process that starts those of Pods")
    own[running.pid] = "the cluster's own process"
    for name, pid in running.holders.items():
        if processes.together(running.pid, pid):
            own[pid] = f"the process by which the network of {name} is entered"
    stopped = [pid for pid in own if processes.is_stopped(pid)]
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    return [f"{own[pid]} ({pid}) was stopped" for pid in stopped]


def check(running: launch.Running) -> Report | None:
    """What the cluster says of itself, after it has put right what it could; None where it does not answer in time."""
    try:
        _ask(running, "GET", "/readyz", ANSWERING)
        return Report(**json.loads(_ask(running, "POST", CHECK, _LOOKING)))
    except (OSError, ValueError, TypeError):  # urllib's errors are OSErrors
        return None


def renewed(running: launch.Running, report: Report) -> launch.Running:
    """The cluster with the holders that it has now."""
    if not report.fixed and all(processes.together(running.pid, pid) for pid in running.holders.values()):
        return running
    try:
        return replace(running, holders=processes.seen_from_here(running.pid, report.holders))
    except KeyError:  # one has ended since
        return running


def _ask(running: launch.Running, method: str, path: str, limit: float) -> bytes:
    context = ssl.create_default_context(cadata=running.authority)
    headers = {"Authorization": f"Bearer {running.token}"}
    request = urllib.request.Request(f"https://127.0.0.1:{running.api}{path}", method=method, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with opener.open(request, timeout=limit) as answer:
        return bytes(answer.read())
