"""The cluster's process: starts the zygote, and puts all parts together.

`python -m labs.embedded.server SETTINGS`, which begin.py has become, in namespaces of its own, with the sockets that SETTINGS
names. It is process 1 of its PID namespace: when it ends, the kernel ends all that it started. What is imported late is what
the zygote need not carry.
"""

import gc
import os
import socket
import sys
from typing import NoReturn

from labs.embedded import kernel, zygote
from labs.embedded.settings import Settings, tell

_ROOM_FOR_FOLDERS = "mode=700,size=16m"  # of memory; what Pods write goes to file systems of their own (kubelet/storage.py)


def main(argument: str) -> NoReturn:
    """Runs the cluster; never returns."""
    settings = Settings.read(argument)
    try:
        kernel.mount("tmpfs", settings.run, "tmpfs", kernel.NOSUID | kernel.NODEV, _ROOM_FOR_FOLDERS)
        kernel.mount("", settings.run, flags=kernel.SHARED)  # the zygote sees what is mounted in it later on
        kernel.set_process_name("labs-cluster")
        for fd in (settings.api, settings.ready, *settings.mappings.values()):
            os.set_inheritable(fd, False)
        asking, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        gc.freeze()  # a collection would write to all that is shared with the zygote
        if os.fork() == 0:
            for fd in (settings.api, settings.ready, *settings.mappings.values()):
                os.close(fd)
            asking.close()
            zygote.serve(asked, settings.run)
        asked.close()
        from labs.embedded.certificates import Making
        from labs.embedded.plan import AddressPlan

        plan = AddressPlan(settings.name, settings.node_network)
        certificates = Making(plan)
        from labs.embedded import assembly

        assembly.run(settings, plan, asking, certificates)
    except OSError as error:
        tell(settings.ready, {"error": str(error)})
        raise
    sys.exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
