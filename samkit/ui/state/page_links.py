"""Where pages are: their files, addresses and titles, for links from anywhere. Nothing heavy is imported for it."""

from pathlib import Path

from samkit.experiments.registry import ENTRIES, Entry

PAGES = Path(__file__).resolve().parents[3] / "pages"
"""The folder that the person who opens the repository sees. Its files are the pages that the router serves."""
CARDS = Path(__file__).resolve().parents[1] / "parts" / "cards"
"""The pictures on Home, made by tools/cards.py."""

HOME_PAGE, RUNS_PAGE, RUN_PAGE, COMPARE_PAGE = (
    str(PAGES / f"{name}.py") for name in ("home", "runs", "kept_run", "compare")
)
"""Home; the list of kept runs; one run, `?id=RUN_ID`; several side by side, `?runs=RUN_ID,RUN_ID`."""
SWEEPS_PAGE, SWEEP_PAGE, COMPARE_SWEEPS_PAGE = (str(PAGES / f"{name}.py") for name in ("sweeps", "sweep", "two_sweeps"))
"""The list of sweeps; one, `?id=SWEEP`; two on the same cells, `?a=SWEEP&b=SWEEP`."""
CELL = "cell"
"""Word of an experiment page's address: `?cell=SWEEP.CELL` opens a cell of a sweep."""


def page_file(entry: Entry) -> str:
    """The file of an experiment's page, as `st.page_link` and `st.Page` take it."""
    return str(PAGES / f"{entry.module_name}.py")


def page_icon(entry: Entry) -> str:
    """In the words of Streamlit's Markdown."""
    return f":material/{entry.icon}:"


def page_card(name: str) -> Path:
    """The picture on Home of an experiment, or of the runs."""
    return CARDS / f"{name}.jpg"


def experiment_title(name: str) -> str:
    """What people call an experiment; the name itself for one that this version does not have."""
    return next((entry.title for entry in ENTRIES if entry.name == name), name)
