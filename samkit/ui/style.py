"""The few rules of look that the theme can't express. Colours come from the theme's own variables, so light and dark both hold."""

import streamlit as st

FOREGROUND = "#1aa260"
BACKGROUND = "#d9372c"
BOX = "#2f7de1"
MASK_COLOR = (22, 160, 170)
"""RGB of the mask drawn over a picture; prompts keep the three colours above, in hex."""
ACCENTS = {"light": "#0b6e75", "dark": "#3fb8bd"}
"""The theme's primary colours, which it gives to no style sheet but its own."""

_CSS = """
<style>
.block-container {max-width: 1500px;}
[data-testid="stMetricValue"], [data-testid="stDataFrame"], .samkit-numbers {font-variant-numeric: tabular-nums;}
.samkit-question {font-size: 1.05rem; opacity: .78; margin: -.6rem 0 .2rem 0;}
.samkit-small {font-size: .84rem; opacity: .8; font-variant-numeric: tabular-nums; line-height: 1.45;}
.samkit-mask {display: block; width: 100%; border-radius: 4px; outline: 1px solid rgba(128,128,128,.35); outline-offset: -1px;}
.samkit-mask.chosen {outline: 3px solid var(--samkit-accent); outline-offset: -3px;}
[data-testid="stCaptionContainer"] {opacity: .78;}
[data-testid="stPlotlyChart"] :is(.xtick, .ytick, .infolayer) text
  {fill: currentColor !important; fill-opacity: .78 !important;}
.samkit-rows {border-collapse: collapse; width: 100%; font-size: .84rem; font-variant-numeric: tabular-nums;}
.samkit-rows :is(th, td) {padding: .25rem .6rem; text-align: right; border-bottom: 1px solid rgba(128,128,128,.25);}
.samkit-rows th {font-weight: 400; opacity: .78;}
[data-testid="stSidebar"] hr {margin: .4rem 0;}
[data-testid="stSidebarUserContent"] {padding-top: .5rem;}
[data-testid="stLayoutWrapper"]:has(> .st-key-browser_memory), .st-key-browser_memory {display: none;}
/* Room for the content to come, so that what is below stays where it is. */
.st-key-row_top {min-height: 34rem;}
.st-key-row_main {min-height: 33rem;}
.samkit-thumb {display: block; width: 100%; max-height: 92px; object-fit: cover; border-radius: 4px;}
.samkit-preview {display: block; width: 100%; max-height: min(26rem, 55vh); object-fit: contain; object-position: left top;}
.samkit-figure {display: block; width: 100%; border-radius: 4px; object-fit: contain;}
[class*="st-key-canvas_frame"] {container-type: inline-size; overflow: hidden; border-radius: 4px; height: min(var(--canvas-h), 100cqw * var(--canvas-ratio));}
[class*="st-key-canvas_frame"] > div {zoom: min(1, tan(atan2(100cqw, var(--canvas-w))));}
[class*="st-key-chip_"] button {min-height: 1.75rem; padding: 0 .55rem; font-size: .84rem; font-variant-numeric: tabular-nums;}
[class*="st-key-mask_button_"] button {font-variant-numeric: tabular-nums; padding: .1rem .4rem;}
[class*="st-key-mask_button_"] button p {font-size: .84rem;}
:is([class*="st-key-masks_grid"], [class*="st-key-memories_"], .st-key-film_masks) [data-testid="stColumn"] {min-width: 0; flex: 1 1 0;}
:is([class*="st-key-masks_grid"], [class*="st-key-memories_"], .st-key-film_masks) [data-testid="stHorizontalBlock"] {flex-wrap: nowrap;}
@media (max-width: 900px) {
  [class*="st-key-row_"] [data-testid="stColumn"]:not(:has([data-testid="stElementContainer"], button)) {display: none;}
  [class*="st-key-row_"] > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] {flex-wrap: wrap;}
  [class*="st-key-row_"] > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"] {flex: 1 1 100%; min-width: 100%;}
}
</style>
"""


def apply_style() -> None:
    """Put the rules on the page; call once per run."""
    st.html(_CSS + f"<style>:root {{--samkit-accent: {ACCENTS['dark' if is_dark() else 'light']}}}</style>")


def is_dark() -> bool:
    """Whether the visitor sees the dark theme."""
    return st.context.theme.type == "dark"
