"""The image of the course's Pods as an archive for a kind cluster's nodes, which takes the engine seconds to write.

So that can be begun while kind still makes the nodes. Does not load it onto them (kind.py does).
"""

import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from labs.providers import containers


class Archive:
    """An image of the engine's, written once, at the first word."""

    def __init__(self, image: str, path: Path, beside: ThreadPoolExecutor) -> None:
        self.image = image
        self._path = path
        self._beside = beside
        self._written: Future[bool] | None = None

    def begin(self) -> Future[bool]:
        """Begins to write it, if nobody has; returns at once. The future: whether the engine has the image at all."""
        if self._written is None:
            self._written = self._beside.submit(self._write)
        return self._written

    def ready(self) -> Path | None:
        """Where it is, when all of it is there; None where the engine does not have the image.

        EngineDown where that does not answer; subprocess.CalledProcessError where it cannot write the archive.
        """
        return self._path if self.begin().result() else None

    def _write(self) -> bool:
        if not containers.image_here(self.image):
            return False
        saved = containers.save_image(self.image, str(self._path))
        if saved.code != 0:
            raise subprocess.CalledProcessError(saved.code, "save", stderr=saved.err)
        return True


@contextmanager
def archive(image: str) -> Iterator[Archive]:
    """An archive of this image, in a folder that is removed afterwards. Nothing is written until somebody asks for it."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1, thread_name_prefix="archive") as beside:
        yield Archive(image, Path(folder) / "image.tar", beside)
