"""Predict first: what each cell of the matrix will say, kept before anything runs; then it runs, and the score tells.

cells: cells, outcomes and the score, as data. rounds: one prediction of a learner, from the first choice to its score.
(`labs.predict` is the function that lessons call; a module of that name would stand in its way.)
"""

from labs.predicting.cells import GRID, Cell, Outcome, Row, Score, cells_of, score
from labs.predicting.rounds import Prediction

__all__ = ["GRID", "Cell", "Outcome", "Prediction", "Row", "Score", "cells_of", "score"]
