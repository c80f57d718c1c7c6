"""The step that runs upstream's specs: when it is not run, and what it makes of what was printed."""

from pathlib import Path

import pytest

from labs.providers import containers
from tests import conformance
from tests.conformance import ROOT, verdict


@pytest.mark.parametrize(
    ("code", "printed", "found"),
    [
        (
            0,
            "Ran 34 of 3206 Specs in 53 seconds\nSUCCESS! -- 34 Passed | 0 Failed | 0 Pending | 3172 Skipped\n",
            (True, "34 passed"),
        ),
        (1, "FAIL! -- 33 Passed | 1 Failed | 0 Pending | 3172 Skipped\n", (False, "33 passed, 1 failed")),
        (0, "SUCCESS! -- 0 Passed | 0 Failed | 0 Pending | 3206 Skipped\n", (False, "0 passed")),  # none was run
        (1, "", (False, "exit code 1, no counts")),
    ],
)
def test_what_was_printed(code: int, printed: str, found: tuple[bool, str]) -> None:
    assert verdict(code, printed) == found


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = ROOT / "Makefile"  # any file that is there
    assert "../shared/none" in conformance.why_not(False, ROOT.parent / "shared" / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Install Go" in conformance.why_not(False, here)
    (tmp_path / "go").touch(mode=0o755)
    assert conformance.why_not(False, here) == ""
    monkeypatch.setattr(containers, "image_here", lambda image: "busybox" not in image)
    assert "busybox:1.37.0-2, registry.k8s.io/e2e-test-images/busybox:1.36.1-1." in conformance.why_not(True, here)
