"""Where things are kept, and what the environment may say about it.

SAMKIT_HOME          folder of the run store, the spool and the kept work; default: the folder that holds Home.py,
                     else the working folder
MLFLOW_TRACKING_URI  the run store; default: SQLite, `mlflow.db` in SAMKIT_HOME
SAMKIT_URL           where the app is reached, for links to it from the run store; default: http://localhost:8501
SAMKIT_FILMS         folders, with : between them, from which a kept run may open the film that it names by its path
SAMKIT_WORKS_MB      how many MB of the visitors' work to keep for reloads and shared links; 0: none
SAMKIT_WORKS_DAYS    how many days to keep it after it was last used; 0: not at all
SAMKIT_PACKED        0: models take torch's plain matrix products where they would take oneDNN's packed ones (see
                     models/network/linear.py). The same numbers up to rounding, and slower on most CPUs
"""

import json
import os
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from samkit.errors import StoreError

NOT_IN_HOME = "#\r\n"
"""Characters that mean something else in a database's address."""
MAX_NOTED_FILMS = 1_000
STORE_SCHEMES = ("sqlite", "postgresql", "mysql", "mssql", "http", "https")


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
    return os.environ.get("MLFLOW_TRACKING_URI", "").strip() or f"sqlite:///{home_folder() / 'mlflow.db'}"


def app_url() -> str:
    """Where the app is reached, without a slash at its end."""
    url = os.environ.get("SAMKIT_URL", "").strip().rstrip("/")
    return url if url.startswith(("http://", "https://")) else "http://localhost:8501"


def check_tracking_uri(uri: str) -> None:
    """Raises StoreError for what names no store, or another one than it seems to."""
    scheme, _, rest = uri.partition(":")
    scheme = scheme.lower()
    if scheme == "sqlite":
        path, question, _ = rest.partition("?")
        place = path.removeprefix("///")
        if not path.startswith("///") or place.strip("/") in ("", ":memory:") or place.endswith("/"):
            raise StoreError(
                f"The run store {uri[:200]!r} names no file, so runs would be lost when the app ends: set "
                "MLFLOW_TRACKING_URI to sqlite:/// and a whole path, such as sqlite:////home/me/runs/mlflow.db."
            )
        if any(letter in place for letter in NOT_IN_HOME) or (question and "?" in str(home_folder())):
            raise StoreError(
                f"The run store {uri[:200]!r} has a ? or # in its path, which means something else there: set "
                "SAMKIT_HOME, or MLFLOW_TRACKING_URI, to a folder without them."
            )
    elif scheme not in STORE_SCHEMES and scheme.partition("+")[0] not in STORE_SCHEMES:
        raise StoreError(
            f"MLFLOW_TRACKING_URI is {uri[:200]!r}, which is no kind of run store that is known here: it begins with "
            "sqlite:///, postgresql://, mysql://, mssql://, http:// or https://."
        )
    elif scheme in ("http", "https") and not _has_host(uri):
        raise StoreError(
            f"The run store {uri[:200]!r} names no server: set MLFLOW_TRACKING_URI to its whole address, such as "
            "http://127.0.0.1:5000."
        )


def _has_host(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def artifacts_folder() -> Path:
    """Artifacts of stores that don't bring a server of their own."""
    return home_folder() / "mlartifacts"


def film_folders() -> tuple[Path, ...]:
    """Where films lie that a kept run may open by their path: below the folders of SAMKIT_FILMS, and what runs that
    were made here were made on.
    """
    named = [Path(place).expanduser() for place in os.environ.get("SAMKIT_FILMS", "").split(os.pathsep) if place]
    return (*(folder for folder in named if folder.is_absolute()), *map(Path, _noted_films()))


def note_film(place: str) -> None:
    """A run was made here on the film at that path: it may be opened there again."""
    noted = _noted_films()
    if place not in noted:
        with suppress(OSError):  # A home that can't be written to keeps no run either.
            file = _films_file()
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(f".{os.getpid()}.part")
            part.write_text(json.dumps([*noted, place][-MAX_NOTED_FILMS:]), encoding="utf-8")
            os.replace(part, file)


def _films_file() -> Path:
    return home_folder() / ".samkit" / "films.json"


def _noted_films() -> list[str]:
    try:
        noted = json.loads(_films_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [place for place in noted if isinstance(place, str)] if isinstance(noted, list) else []


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
