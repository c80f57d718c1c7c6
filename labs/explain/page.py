"""An explanation as HTML for notebooks. Only computes; colours are readable on light and on dark ground, and never alone."""

import html as escape

from labs.explain.hops import Explanation, Hop, State

# (sign, colour): the sign and the state's word say the same as the colour does. The colour is mixed with that of the text:
# none stands out enough (4.5 to 1, WCAG 2.2) from both a white and a nearly black ground.
_LOOK = {
    State.HOLDS: ("✓", "#2e8b57"),
    State.STOPS: ("✗", "#d1495b"),
    State.FAILS_TOO: ("✗", "#b07d2b"),
    State.NOT_CHECKED: ("–", "#808080"),
}
_CODE = "font-family: monospace; white-space: pre-wrap; overflow-wrap: anywhere; user-select: all"


def html(explanation: Explanation) -> str:
    """A heading, the hops as a table, why, and the mends with their commands."""
    rows = "".join(_row(hop, hop is explanation.stops_at) for hop in explanation.hops)
    parts = [
        f"<p><strong>{_text(explanation.heading)}</strong></p>",
        f"<p>{_text(explanation.why)}</p>",
        f"<p>{_text(explanation.also)}</p>" if explanation.also else "",
        _mends(explanation),
        f"<table><thead><tr>{_heads('hop', 'state', 'what was seen')}</tr></thead><tbody>{rows}</tbody></table>",
    ]
    return f'<div class="labs-explanation">{"".join(parts)}</div>'


def _heads(*names: str) -> str:
    return "".join(f'<th scope="col" style="text-align: left">{name}</th>' for name in names)


def _row(hop: Hop, stops: bool) -> str:
    sign, colour = _LOOK[hop.state]
    tint = f"color-mix(in srgb, {colour} 65%, currentColor)"
    weight = "bold" if stops else "normal"
    shows = f' title="{_text(hop.command)}"' if hop.command else ""
    return (
        f'<tr{shows}><th scope="row" style="text-align: left; font-weight: {weight}">{_text(hop.name)}</th>'
        f'<td style="text-align: left; white-space: nowrap; color: {tint}; font-weight: {weight}">{sign} {hop.state}</td>'
        f'<td style="text-align: left">{_text(hop.saw)}</td></tr>'
    )


def _mends(explanation: Explanation) -> str:
    if not explanation.mends:
        return ""
    heading = "What would mend it:" if len(explanation.mends) == 1 else "What would mend it, each by itself:"
    items = "".join(
        f"<li>{_text(mend.what)}" + (f'<div style="{_CODE}">{_text(mend.command)}</div>' if mend.command else "") + "</li>"
        for mend in explanation.mends
    )
    return f"<p>{heading}</p><ul>{items}</ul>"


def _text(words: str) -> str:
    return escape.escape(words)
