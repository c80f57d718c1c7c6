"""labs.packages: what is installed, and when; nothing here touches this machine's packages."""

import pytest

from labs import bootstrap, packages, providers, tools
from labs.embedded import host
from labs.errors import NoProvider, ToolMissing
from labs.providers import Choice, embedded


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What apt-get was asked for, on a machine where the embedded cluster is next, and lacks nft and ip."""
    asked: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "may_install", lambda: True)
    monkeypatch.setattr(bootstrap, "install", lambda names: asked.append(list(names)) or "")
    monkeypatch.setattr(providers, "choose", lambda: Choice("embedded", "", "no engine"))
    monkeypatch.setattr(host, "packages", lambda: ["iproute2", "nftables"])
    monkeypatch.setattr(embedded, "has_kubectl", lambda: True)
    return asked


def test_what_is_missing_is_installed_and_told(installed: list[list[str]]) -> None:
    said: list[str] = []
    packages.complete(said.append)
    assert installed == [["iproute2", "nftables"]]
    assert "iproute2, nftables" in said[0]


def test_it_is_tried_where_no_provider_can_run_for_lack_of_it(
    installed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing() -> Choice:
        raise NoProvider("No cluster can run here yet.", "", "")

    monkeypatch.setattr(providers, "choose", nothing)
    packages.complete(print)
    assert installed == [["iproute2", "nftables"]]


@pytest.mark.parametrize("provider", ["kind", "context"])
def test_nothing_is_installed_for_another_cluster(
    provider: str, installed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "choose", lambda: Choice(provider, "", ""))
    packages.complete(print)
    assert installed == []


def test_nothing_is_installed_where_we_may_not(installed: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "may_install", lambda: False)
    packages.complete(print)
    assert installed == []


def test_kubectl_is_downloaded_or_else_installed(installed: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "packages", list)
    monkeypatch.setattr(embedded, "has_kubectl", lambda: False)
    monkeypatch.setattr(tools, "find", lambda tool, say: "a path")
    packages.complete(print)
    assert installed == []

    def unreachable(tool: str, say: object) -> str:
        raise ToolMissing("kubectl is not here.", "No network.", "")

    monkeypatch.setattr(tools, "find", unreachable)
    monkeypatch.setattr(
        bootstrap, "install", lambda names: installed.append(list(names)) or ("no such" if names == ["kubectl"] else "")
    )
    packages.complete(print)
    assert installed == [["kubectl"], ["kubernetes-client"]]
