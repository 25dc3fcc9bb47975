"""The keys of all experiment pages, said once: the tooltips, the sheet behind `?` and the scripts in the browser are
made of `SHORTCUTS`. What a hand does without a key is in the sheet beside them.

A key does what its control would do at a press, and nothing where the page has no such control. While somebody types,
in a dialog, and with Ctrl, Alt or the command key, letters and digits are left alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from samkit.ui.parts import style

Does = Literal[
    "press", "next", "focus", "lower", "higher", "hover", "sheet", "back", "forth", "crosshair", "canvas", "hand"
]
FRAMES = "frames"
"""In place of a knob that arrow keys move: the frames of the film."""
STEPS: dict[str, tuple[Does, str]] = {
    "lower": ("back", "The frame before"),
    "higher": ("forth", "The next frame"),
    "lower_second": ("back", "The frame before"),
    "higher_second": ("forth", "The next frame"),
}


@dataclass(frozen=True)
class Shortcut:
    """
    keys:  as a browser names them, in lower case; a combination as "ctrl+z", where Ctrl stands for the command key too
    shown: to a person
    text:  what it does
    does:  press a control, choose the next one of several, focus it, move a slider, step through the film, or what the
           script knows by itself; "canvas": what the canvas's script does (`CANVAS_KEYS`); "hand": in the sheet alone
    where: CSS selector of the controls, with {page} for the experiment and {canvas} for the canvas that the pointer or
           the crosshair was on last
    knob:  in its place: name of the knob; "1" and "2" stand for those that the page moves with arrow keys
    nth:   which of the controls found, from 0; None: the only one
    titled: whether the script gives the control a tooltip, which it has no other way to get
    """

    name: str
    keys: tuple[str, ...]
    shown: str
    text: str
    group: str
    does: Does
    where: str = ""
    knob: str = ""
    nth: int | None = None
    titled: bool = False


_CANVAS = '[class*="st-key-canvas_frame"]'


def _tool(name: str, key: str, text: str, nth: int) -> Shortcut:
    where = '.st-key-tool_{canvas} [role="radio"]'
    return Shortcut(name, (key,), key.upper(), text, "Prompts", "press", where, nth=nth, titled=True)


def _hand(name: str, shown: str, text: str, group: str = "On the picture", where: str = _CANVAS) -> Shortcut:
    return Shortcut(name, (), shown, text, group, "hand", where)


def _crossed(name: str, keys: tuple[str, ...], shown: str, text: str) -> Shortcut:
    return Shortcut(name, keys, shown, text, "By keyboard on the picture", "canvas", _CANVAS)


SHORTCUTS: tuple[Shortcut, ...] = (
    _tool("foreground", "f", "Foreground point", 0),
    _tool("background", "b", "Background point", 1),
    _tool("box", "x", "Box", 2),
    Shortcut(
        "clear", ("c",), "C", "Remove all prompts and the hint", "Prompts", "press", ".st-key-clear_{canvas} button"
    ),
    Shortcut("undo", ("ctrl+z",), "Ctrl+Z", "Undo", "Prompts", "press", ".st-key-undo_{canvas} button"),
    Shortcut(
        "redo",
        ("ctrl+y", "ctrl+shift+z"),
        "Ctrl+Y or Ctrl+Shift+Z",
        "Redo",
        "Prompts",
        "press",
        ".st-key-redo_{canvas} button",
    ),
    _hand("click", "Click or tap", "Place a point of the chosen tool"),
    _hand("draw", "Drag", "With Box: draw a box"),
    _hand("background_click", "Shift or right button", "Place a background point, whatever the tool"),
    _hand("drag", "Drag a prompt", "Move it; a box by its edge, its corners resize it"),
    _hand("select", "Click a prompt", "Select it; a selected box is resized by its edges too"),
    Shortcut(
        "remove",
        ("delete", "backspace"),
        "Delete",
        "Remove the selected prompt, or the one under the crosshair",
        "On the picture",
        "canvas",
        _CANVAS,
    ),
    _hand("right_click", "Right click on a prompt", "Remove it"),
    _hand("zoom", "Wheel or two fingers", "Zoom", where="[data-view]"),
    _hand("pan", "Space+drag, middle button", "Move the enlarged picture", where="[data-view]"),
    _hand("fit", "Fit, 1:1", "Below the picture: the whole of it; one of its pixels for one of the screen"),
    _hand(
        "paste",
        "Ctrl+V, or drop a file",
        "Take in a picture, prompts, or a film on its own page",
        where=".st-key-paste_drop",
    ),
    Shortcut(
        "crosshair",
        ("p",),
        "P",
        "A crosshair, where the keyboard places prompts; Tab leads there from the tools",
        "By keyboard on the picture",
        "crosshair",
        _CANVAS,
    ),
    _crossed("move", ("arrowleft", "arrowright", "arrowup", "arrowdown"), "← → ↑ ↓", "Move it; with Shift further"),
    _crossed(
        "place",
        ("enter", " "),
        "Enter or Space",
        "Place a point of the chosen tool, with Shift a background point; with Box one corner, then the other",
    ),
    _crossed("leave", ("escape",), "Esc", "Let go of the selected prompt or the corner, then leave the picture"),
    *(
        Shortcut(
            f"mask_{index}",
            (str(index + 1),),
            str(index + 1),
            f"Mask {index + 1}",
            "Masks",
            "press",
            f".st-key-mask_button_{{page}}_{index} button",
        )
        for index in range(4)
    ),
    Shortcut("hover", ("h",), "H", "Masks follow the pointer, on and off", "Masks", "hover"),
    Shortcut(
        "view", ("tab",), "Tab", "Next view of the main picture", "Views and knobs", "next", knob="view", titled=True
    ),
    Shortcut(
        "lower", ("arrowleft",), "←", "Lower on the main slider", "Views and knobs", "lower", knob="1", titled=True
    ),
    Shortcut(
        "higher", ("arrowright",), "→", "Higher on the main slider", "Views and knobs", "higher", knob="1", titled=True
    ),
    Shortcut(
        "lower_second",
        ("arrowdown",),
        "↓",
        "Lower on the second slider",
        "Views and knobs",
        "lower",
        knob="2",
        titled=True,
    ),
    Shortcut(
        "higher_second",
        ("arrowup",),
        "↑",
        "Higher on the second slider",
        "Views and knobs",
        "higher",
        knob="2",
        titled=True,
    ),
    Shortcut(
        "side",
        ("s",),
        "S",
        "Encoding side, for the arrow keys to move",
        "Views and knobs",
        "focus",
        knob="side",
    ),
    _hand("pick", "Click, arrows or Enter", "On a map of tokens: pick one", "Views and knobs", "[data-picks]"),
    _hand("chart", "Drag, ← or →", "On a curve: go to that frame", "Views and knobs", ".st-key-film_below"),
    Shortcut("keep", ("k", "ctrl+s"), "K or Ctrl+S", "Keep this run", "Run", "press", ".st-key-keep_{page} button"),
    Shortcut("sheet", ("?",), "?", "This sheet", "Run", "sheet"),
)
_BY_NAME = {shortcut.name: shortcut for shortcut in SHORTCUTS}
CANVAS_KEYS = {key: shortcut.name for shortcut in SHORTCUTS if shortcut.does == "canvas" for key in shortcut.keys}
"""A key -> what the canvas's script does at it."""
_component = st.components.v2.component(
    "samkit_keys",
    html=style.part("keys.html"),
    css=style.part("keys.css"),
    js=style.part("keys.js"),
)


def with_key(text: str, name: str) -> str:
    """A control's tooltip, with the key that presses it."""
    return f"{text} ({_BY_NAME[name].shown})"


def keys(page: str, sliders: Sequence[str]) -> None:
    """Listen to the keys of an experiment's page, and draw the button of their sheet.

    sliders: the knobs, or `FRAMES`, that arrow keys move: left and right the first one, up and down the second one
    """
    names = {str(number): name for number, name in enumerate(sliders, start=1)}
    with st.container(key="keys", width="content"):
        _component(
            data={"page": page, "shortcuts": [row for each in SHORTCUTS if (row := _row(each, names)) is not None]},
            key=f"keys_{page}",
        )


def _row(shortcut: Shortcut, sliders: dict[str, str]) -> dict[str, Any] | None:
    """The shortcut as the script takes it; None where the page has no such slider."""
    row = {
        name: getattr(shortcut, name) for name in ("name", "shown", "text", "group", "does", "where", "nth", "titled")
    }
    row["keys"] = list(shortcut.keys)
    row["knob"] = shortcut.knob
    if shortcut.knob.isdigit():
        if shortcut.knob not in sliders:
            return None
        row["knob"] = sliders[shortcut.knob]
        if row["knob"] == FRAMES:
            row["does"], row["text"] = STEPS[shortcut.name]
            row |= {"knob": "", "where": ".st-key-film_below", "titled": False}
    return row
