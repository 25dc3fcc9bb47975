"""Search over all kept runs: plain words, MLflow's filter language, and the filters of a list, one page at a time."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from samkit.errors import BadInput
from samkit.tracking.store import EXPERIMENT_PREFIX, RunStore, RunSummary, store_errors, summary_of
from samkit.tracking.tags import WORDS

PAGE = 25
MAX_SEARCH_CHARACTERS = 1_000
EXAMPLE = "An example that can: coffee metrics.predicted_iou > 0.8 and params.side = '512'"
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_NAME = r"(?:`[^`]+`|\"[^\"]+\"|[\w.-]+)"
_KEY = rf"(?:(?:metrics?|params?|parameters?|tags?|attributes?|attr|run)\.{_NAME}|run_name|run_id|status|start_time|end_time|created)"
_CLAUSE = re.compile(
    rf"\b{_KEY}\s*(?:(?:!=|<=|>=|=|<|>)\s*(?:{_QUOTED}|[^\s'\"()]+)|I?LIKE\s*(?:{_QUOTED})|(?:NOT\s+)?IN\s*\([^)]*\)|IS\s+(?:NOT\s+)?NULL)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Query:
    """What is looked for; an empty one finds every kept run.

    text:         words, all of which a run must have in its name, note, tags, experiment, model or picture; and clauses of MLflow's filter language, such as
                  metrics.predicted_iou > 0.8
    model, picture: exact names; tag: `key` or `key=value`
    since, until: days in `zone`, both included; None in `zone`: this machine's
    deleted:      only those that were deleted, instead of the others
    """

    text: str = ""
    experiment: str | None = None
    model: str | None = None
    picture: str | None = None
    tag: str | None = None
    since: date | None = None
    until: date | None = None
    zone: tzinfo | None = None
    deleted: bool = False


EVERYTHING = Query()


@dataclass(frozen=True)
class RunPage:
    """next: what `search_runs` takes for the page behind this one, or None on the last."""

    runs: tuple[RunSummary, ...]
    next: str | None


def search_runs(store: RunStore, query: Query = EVERYTHING, page: str | None = None, size: int = PAGE) -> RunPage:
    """One page of the runs that `query` finds, newest first. Raises BadInput for a filter that the store can't read."""
    return _search(store, query, filter_string(query), "DESC", page, size)


def neighbours(store: RunStore, query: Query, run: RunSummary) -> tuple[RunSummary | None, RunSummary | None]:
    """(the next newer, the next older) run that `query` finds, in the order of its pages; None at an end."""
    condition = filter_string(query)
    # Runs of one millisecond stand in the order of their ids.
    together = _of_one_moment(store, query, condition, run.created_ms)
    newer = [each for each in together if each.run_id < run.run_id][-1:]
    older = [each for each in together if each.run_id > run.run_id][:1]
    if not newer:
        later = _search(store, query, f"{condition} and attributes.start_time > {run.created_ms}", "ASC", None, 1).runs
        newer = _of_one_moment(store, query, condition, later[0].created_ms)[-1:] if later else []
    if not older:
        older = _search(store, query, f"{condition} and attributes.start_time < {run.created_ms}", "DESC", None, 1).runs
    return newer[0] if newer else None, older[0] if older else None


def _of_one_moment(store: RunStore, query: Query, condition: str, milliseconds: int) -> list[RunSummary]:
    """At most a thousand, by their ids."""
    found = _search(store, query, f"{condition} and attributes.start_time = {milliseconds}", "DESC", None, 1_000).runs
    return sorted(found, key=lambda each: each.run_id)


def _search(store: RunStore, query: Query, condition: str, order: str, page: str | None, size: int) -> RunPage:
    from mlflow.entities import ViewType
    from mlflow.exceptions import MlflowException

    client = store.client()
    with store_errors(store.uri):
        ids = _experiment_ids(client, query.experiment)
        if not ids:
            return RunPage((), None)
        view = ViewType.DELETED_ONLY if query.deleted else ViewType.ACTIVE_ONLY
        try:
            found = client.search_runs(ids, condition, view, max_results=size, order_by=[f"attributes.start_time {order}"], page_token=page)
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            raise BadInput(f"This search can't be read: {_first_sentence(error)} {EXAMPLE}") from None
    return RunPage(tuple(summary_of(run) for run in found), found.token or None)


def kept_experiments(store: RunStore) -> list[str]:
    """The experiments that have had runs, by name."""
    with store_errors(store.uri):
        found = store.client().search_experiments()
    return sorted(each.name.removeprefix(EXPERIMENT_PREFIX) for each in found if each.name.startswith(EXPERIMENT_PREFIX))


def filter_string(query: Query) -> str:
    """The query in MLflow's filter language."""
    words, clauses = split_text(query.text)
    clauses = ["attributes.status = 'FINISHED'", *clauses]
    clauses += [f"tags.`{WORDS}` ILIKE '%{_literal(word)}%'" for word in words]
    clauses += [f"tags.`samkit.{key}` = {_string(value)}" for key, value in (("model", query.model), ("picture", query.picture)) if value]
    if query.tag and query.tag.strip():
        key, equals, value = query.tag.partition("=")
        key = f"tags.`{key.strip().replace('`', '')}`"
        clauses.append(f"{key} = {_string(value.strip())}" if equals else f"{key} ILIKE '%'")
    if query.since:
        clauses.append(f"attributes.start_time >= {_milliseconds(query.since, query.zone)}")
    if query.until:
        clauses.append(f"attributes.start_time < {_milliseconds(query.until + timedelta(days=1), query.zone)}")
    return " and ".join(clauses)


def split_text(text: str) -> tuple[list[str], list[str]]:
    """(words, clauses of the filter language) of what was typed. A quoted phrase is one word. Raises BadInput for what is too long."""
    if len(text) > MAX_SEARCH_CHARACTERS:
        raise BadInput(f"This search is {len(text)} characters long; at most {MAX_SEARCH_CHARACTERS} are looked for.")
    clauses = [match.group().strip() for match in _CLAUSE.finditer(text)]
    left = _CLAUSE.sub(" \0 ", text)
    # An `and` between clauses belongs to the language; one between words is a word.
    left = re.sub(r"(?i)(?:\band\b\s*)?\0(?:\s*\band\b)?", " ", left)
    words = [(quoted or plain).strip().lower() for quoted, plain in re.findall(r'"([^"]*)"|(\S+)', left)]
    return [word for word in words if word], clauses


def _literal(word: str) -> str:
    """A word inside LIKE '%...%'. Quotes and backslashes become LIKE's sign for any one character, so no word can end the string."""
    return re.sub(r"['\"\\`]", "_", word)


def _string(value: str) -> str:
    quote = '"' if "'" in value else "'"
    return quote + value.replace(quote, "") + quote


def _milliseconds(day: date, zone: tzinfo | None) -> int:
    return int(datetime.combine(day, time(), zone).timestamp() * 1000)


def _experiment_ids(client, experiment: str | None) -> list[str]:
    if experiment is not None:
        found = client.get_experiment_by_name(EXPERIMENT_PREFIX + experiment)
        return [found.experiment_id] if found and found.lifecycle_stage == "active" else []
    return [each.experiment_id for each in client.search_experiments() if each.name.startswith(EXPERIMENT_PREFIX)]


def _first_sentence(error: Exception) -> str:
    said = re.sub(r"^[A-Z_]+: ", "", str(error).strip().splitlines()[0])[:200]
    return said if said.endswith((".", "!", "?")) else f"{said}."
