"""What a test saw from each place, in words, for the published table of facts (tests/facts.py). Judges nothing."""

_seen: list[str] = []


def note(place: str, word: str) -> None:
    """Keeps that a place saw this ("a Pod", "refused"); the same twice is kept once."""
    line = f"{place}: {word}"
    if line not in _seen:
        _seen.append(line)


def taken() -> str:
    """All that was noted since the last call, as one line: "a Pod: refused; a node: timed out"."""
    line = "; ".join(_seen)
    _seen.clear()
    return line
