"""The path of a request, hop by hop: from the client to the port where a process listens, beside the laptop's mapping.

hops: the path as data, from facts and their explanation. drawing: it as SVG, HTML and words. Asks and finds out nothing.
"""

from labs.path.drawing import STYLE, html, text
from labs.path.hops import Hop, Path, Reach, Turn, path_of

__all__ = ["STYLE", "Hop", "Path", "Reach", "Turn", "html", "path_of", "text"]
