"""Widgets: the explorer, whole in the last lesson and small in the others. All that imports ipywidgets or anywidget is here.

screen.py: what is shown, as data and text. pieces.py, style.css: as HTML. turns.py: what a knob does. widget.py: the page.
picture.py, path.js: the path, changed in place. prediction.py: predictions, and their score.
"""

from collections.abc import Iterable, Sequence

from labs import knobs as all_knobs
from labs import providers, workload
from labs.deploy import Lesson, Manifest, read_manifests
from labs.predicting import Prediction
from labs.predicting.rounds import Change
from labs.views.prediction import Predict
from labs.views.widget import Explorer

__all__ = ["Explorer", "Predict", "explorer", "predict"]

LESSON = "05-all-four"
START_LIMIT = 120.0  # seconds for the first answers, with an image that may have to be pulled


def explorer(
    lesson: Lesson | None = None, knobs: Sequence[str] = all_knobs.ALL, service: str = "productpage", pod: str = "pod2"
) -> Explorer:
    """The explorer of a lesson's Service and Pod, with its first answers; without a lesson, that of lesson 05.

    It takes up what is on the cluster, so a cell can be run again, after a restart of the kernel too; what is missing is
    made. Raises LabError where that cannot be done, BadInput for a knob that there is not.
    """
    only = tuple(all_knobs.knob(name).name for name in ([knobs] if isinstance(knobs, str) else knobs))
    if lesson is None:
        cluster, name = providers.connect(), LESSON
        first = _default("07-service-nodeport-30066", service), workload.pod(pod, {"app": "productpage"})
    else:
        cluster, name = lesson.cluster, lesson.name
        first = _found(lesson, service, pod)
    made = Explorer(lambda say: Lesson(cluster, name, say), first, only)
    trouble = made.wait(START_LIMIT).trouble
    if trouble is not None:
        made.close()
        raise trouble
    return made


def predict(
    lesson: Lesson,
    service: str = "productpage",
    cells: Iterable[str | tuple[str, str]] | None = None,
    change: Change | None = None,
    pod: str = "pod2",
) -> Predict:
    """A prediction of a lesson's Service: on the page, or by `.choose("clusterIP:port", "a Pod", "refused").run()`.

    What was chosen before and not run yet, before a restart of the kernel too, is chosen already. cells: rows
    ("clusterIP:port") and cells (("clusterIP:port", "a Pod")); none: all. change: a manifest, or knobs ({"targetPort": 9999}),
    sent before it runs. BadInput for what there is not.
    """
    return Predict(Prediction(lesson, service, cells, change, pod))


def _found(lesson: Lesson, service: str, pod: str) -> tuple[Manifest, Manifest]:
    """The lesson's own Service and Pod as they are now, or the article's where there are none."""
    there = lesson.read("Service", service), lesson.read("Pod", pod)
    return (
        all_knobs.as_written(there[0]) if there[0] else _default("05-service-with-targetport-9080", service),
        all_knobs.as_written(there[1]) if there[1] else workload.pod(pod, {"app": "productpage"}),
    )


def _default(manifest: str, name: str) -> Manifest:
    service = read_manifests(manifest)[0]
    service["metadata"]["name"] = name
    return service
