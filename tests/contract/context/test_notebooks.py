"""Every notebook gets to its end with a guest's rights, too. Outputs are not compared: a guest sees less, elsewhere."""

import subprocess
import sys
from pathlib import Path

import pytest

from labs.providers.context.borrowed import BorrowedCluster
from tests.contract.context.guests import Said
from tests.run import NBVAL

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_guest_gets_to_the_end(
    notebook: Path, lent: tuple[BorrowedCluster, Said, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each cell's assertions hold, or the cell has said what cannot be shown here."""
    monkeypatch.setenv("LABS_CLUSTER", "context:guest")
    monkeypatch.setenv("KUBECONFIG", str(lent[2]))
    monkeypatch.setenv("LABS_OPEN_NODE_PORT", "yes")
    lax = ["--nbval-lax" if option == "--nbval" else option for option in NBVAL]
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *lax, str(notebook)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
