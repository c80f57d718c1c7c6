"""labs.versions: names of images, with and without a mirror, and the word of warning."""

import re

import pytest

from labs import versions


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LABS_MIRROR", "KIND_NODE_IMAGE"):
        monkeypatch.delenv(name, raising=False)


def test_the_default_node_image_is_the_tested_one_by_digest() -> None:
    assert versions.node_image() == versions.NODE_IMAGES[versions.TESTED_MINOR]
    for minor, image in versions.NODE_IMAGES.items():
        assert re.fullmatch(rf"kindest/node:v{re.escape(minor)}\.\d+@sha256:[0-9a-f]{{64}}", image)


def test_kubectl_and_the_default_node_image_are_of_one_minor_version() -> None:
    assert versions.KUBECTL.startswith(f"v{versions.TESTED_MINOR}.")


@pytest.mark.parametrize(
    ("mirror", "image", "wanted"),
    [
        ("", "kindest/node:v1", "kindest/node:v1"),
        ("mirror.example/k8s", "kindest/node:v1", "mirror.example/k8s/kindest/node:v1"),
        ("mirror.example/k8s/", "registry.example/a/b:1", "mirror.example/k8s/a/b:1"),
        ("https://mirror.example", "registry.example:5000/a/b:1", "mirror.example/a/b:1"),
        ("http://10.0.0.5:8000", "registry.example/a/b:1", "10.0.0.5:8000/a/b:1"),
        ("mirror.example", "kindest/node:v1@sha256:44e2", "mirror.example/kindest/node:v1@sha256:44e2"),
    ],
)
def test_mirrored(mirror: str, image: str, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_MIRROR", mirror)
    assert versions.mirrored(image) == wanted


def test_a_mirror_is_used_for_both_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_MIRROR", "mirror.example")
    assert versions.node_image().startswith("mirror.example/kindest/node:")
    assert versions.workload_image() == "mirror.example/e2e-test-images/agnhost:2.53"


def test_a_node_image_of_your_own_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABS_MIRROR", "mirror.example")
    monkeypatch.setenv("KIND_NODE_IMAGE", "kindest/node:v1.36.4")
    assert versions.node_image() == "kindest/node:v1.36.4"


@pytest.mark.parametrize("kubernetes", ["v1.33.2", "v1.38.0", "v1.3.7", "unknown"])
def test_an_untested_version_gets_a_word_of_warning(kubernetes: str) -> None:
    assert kubernetes in versions.warning(kubernetes)


@pytest.mark.parametrize("kubernetes", [f"v{versions.TESTED_MINOR}.0", f"v{versions.TESTED_MINOR}.11", versions.TESTED_MINOR])
def test_the_tested_version_gets_none(kubernetes: str) -> None:
    assert versions.warning(kubernetes) == ""
