"""The errors that a learner may see: what happened, why, and what to try.

Does not find anything out: whoever raises one has found out why.
"""


class LabError(Exception):
    """Something of ours, or of the machine, is not as a lesson needs it; never a learner's mistake in a lesson.

    what: what happened, one sentence. why: the cause, as far as it is known. try_this: what to do next.
    """

    def __init__(self, what: str, why: str, try_this: str) -> None:
        super().__init__(what, why, try_this)
        self.what = what
        self.why = why
        self.try_this = try_this

    def __str__(self) -> str:
        return f"{self.what}\n  why: {self.why}\n  try: {self.try_this}"

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows in place of a traceback: the three lines (IPython asks an exception for this name)."""
        return [f"{type(self).__name__}: {self}"]


class NoProvider(LabError):
    """No kind of cluster can run on this machine as it is."""


class EngineDown(LabError):
    """The container engine does not answer, or not to us."""


class ToolMissing(LabError):
    """A program (kind, kubectl) is not here and could not be fetched."""


class ImageMissing(LabError):
    """A container image is not here and could not be pulled."""


class ClusterGone(LabError):
    """A cluster that was there does not answer any more."""


class NotInTime(LabError):
    """A condition that was waited for did not come true within its limit."""


class BadInput(LabError):
    """What was given cannot be used: a manifest that is not YAML, a port that is no port. Nothing was changed."""


class Refused(LabError):
    """The API server said no. `why` is its own words; `status` the HTTP status, `reason` the Status reason."""

    def __init__(self, what: str, why: str, try_this: str, status: int = 0, reason: str = "") -> None:
        super().__init__(what, why, try_this)
        self.status = status
        self.reason = reason
