"""What every provider owes: the seam, and every fact about ports that the lessons state, on a real cluster."""
