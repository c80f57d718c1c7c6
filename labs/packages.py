"""Installs the programs that the embedded cluster lacks, from Debian's or Ubuntu's packages, where we may.

Does so only where that cluster is the one to be used. Who may not gets their names from the provider's error instead.
"""

from collections.abc import Callable

from labs import bootstrap, providers, tools
from labs.embedded import host
from labs.errors import NoProvider, ToolMissing
from labs.providers import embedded

Say = Callable[[str], None]
KUBECTL = ("kubectl", "kubernetes-client")  # by the names of its packages: of Kubernetes' own repository, of Debian


def complete(say: Say) -> None:
    """Installs what is missing, and says so. Where something stays missing, the provider tells it when it is asked."""
    if not bootstrap.may_install() or not _embedded_is_next():
        return
    wanted = host.packages()
    if wanted:
        say(f"The embedded cluster uses {', '.join(wanted)}, and you are root: installing that with apt-get.")
        say(bootstrap.install(wanted) or "Installed.")
    if not embedded.has_kubectl():
        bring_kubectl(say)


def _embedded_is_next() -> bool:
    """Whether the embedded cluster is chosen, or would be, if it had its programs."""
    try:
        return providers.choose().provider == "embedded"
    except NoProvider:
        return True


def bring_kubectl(say: Say) -> None:
    """The tested kubectl where it can be downloaded, else one of the system's packages."""
    try:
        tools.find("kubectl", say)
    except ToolMissing as missing:
        say(f"{missing.what} {missing.why}")
        for package in KUBECTL:
            say(f"Installing the package {package} with apt-get.")
            failed = bootstrap.install([package])
            if not failed:
                return
            say(failed)
