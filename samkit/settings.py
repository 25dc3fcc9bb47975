"""Where things are kept, and what the environment may say about it.

SAMKIT_HOME          folder of the run store, the spool and the kept work; default: the folder that holds Home.py,
                     else the working folder
MLFLOW_TRACKING_URI  the run store; default: SQLite, `mlflow.db` in SAMKIT_HOME
SAMKIT_WORKS_MB      how many MB of the visitors' work to keep for reloads and shared links; 0: none
SAMKIT_WORKS_DAYS    how many days to keep it after it was last used; 0: not at all
SAMKIT_PACKED        0: models take torch's plain matrix products where they would take oneDNN's packed ones (see
                     models/network/linear.py). The same numbers up to rounding, and slower on most CPUs
"""

import os
import subprocess
from functools import cache
from pathlib import Path


def home_folder() -> Path:
    """Absolute; not made here."""
    chosen = os.environ.get("SAMKIT_HOME")
    if chosen:
        return Path(chosen).expanduser().resolve()
    beside_package = Path(__file__).resolve().parent.parent
    return beside_package if (beside_package / "Home.py").is_file() else Path.cwd()


def tracking_uri() -> str:
    """The run store's URI. The SQLite default is absolute, so that the folder a command is started in makes no
    difference.
    """
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home_folder() / 'mlflow.db'}"


def artifacts_folder() -> Path:
    """Artifacts of stores that don't bring a server of their own."""
    return home_folder() / "mlartifacts"


def spool_folder() -> Path:
    """Runs that wait for the store to come back."""
    return home_folder() / ".samkit" / "spool"


def works_folder() -> Path:
    """What visitors work on, so that a reload finds it again."""
    return home_folder() / ".samkit" / "works"


def packing_allowed() -> bool:
    """Whether models may use packed matrix products where the machine has them."""
    return os.environ.get("SAMKIT_PACKED", "").strip() != "0"


@cache
def git_commit() -> str | None:
    """The commit of the checkout samkit runs from, or None."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
