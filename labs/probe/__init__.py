"""curl from a Pod, from a node, from another machine and from this laptop, and what its answer means.

answers: the data. tracing: the curl command and what its trace means. routes: whether an address is the cluster's. ways: the
addresses of a Service. asking: the part that touches the world. frames: tables. Does not explain (explain does).
"""

from labs.probe.answers import ADDRESS, Answer, Place, Seat, Target, Way, Word
from labs.probe.asking import ask, ask_in_stages, ask_side_by_side, curl, look_up_routes, questions, seats, targets
from labs.probe.frames import styled, table

__all__ = [
    "ADDRESS", "Answer", "Place", "Seat", "Target", "Way", "Word",
    "ask", "ask_in_stages", "ask_side_by_side", "curl", "look_up_routes", "questions", "seats", "styled", "table", "targets",
]  # fmt: skip
