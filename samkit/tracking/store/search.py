"""Search over all kept runs: plain words, MLflow's filter language, the filters and the order of a list, one page at a
time.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Literal

from samkit.errors import BadInput
from samkit.tracking.store.store import RunStore, RunSummary, store_errors, summary_of
from samkit.tracking.store.tags import OWNER, SWEEP_USER, WORDS

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.store.entities import PagedList

PAGE = 25
MAX_SORTED = 2_000
"""Runs that samkit itself sorts, where the store can't."""
RENAMED = "stability"
"""What the name of every metric holds that kept runs may have under another one; see `bundle/older.py`."""
NO_VALUE = (None, "", "None")
"""What a run's parameter is where it has none."""
SCANNED = 200
"""Runs that are asked for at a time, where samkit itself looks through what the store finds."""
MAX_SEARCH_CHARACTERS = 1_000
MAX_PARTS = 20
"""Words and clauses of one search: each is one more join in the store's database, which has a limit."""
PICTURES = ("samkit.picture", "samkit.picture_b", "samkit.video")
"""Tags with the names of what a run was made on."""
EXAMPLE = "An example that can: coffee metrics.predicted_iou > 0.8 and params.side = '512'"
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_NAME = r"(?:`[^`]+`|\"[^\"]+\"|[\w.-]+)"
_KEY = (
    rf"(?:(?:metrics?|params?|parameters?|tags?|attributes?|attr|run)\.{_NAME}"
    r"|run_name|run_id|status|start_time|end_time|created)"
)
_CLAUSE = (
    rf"\b{_KEY}\s*(?:(?:!=|<=|>=|=|<|>)\s*(?:{_QUOTED}|[^\s'\"()]+)|I?LIKE\s*(?:{_QUOTED})"
    r"|(?:NOT\s+)?IN\s*\([^)]*\)|IS\s+(?:NOT\s+)?NULL)"
)
_TOKEN = re.compile(rf'(?P<clause>{_CLAUSE})|"(?P<phrase>[^"]*)"|(?P<bracket>[()])|(?P<plain>[^\s()]+)', re.IGNORECASE)
_WORD = re.compile(r'"(?P<phrase>[^"]*)"|(?P<plain>\S+)')
_COMPARISON = r"(?:==?|!=|<>|<=?|>=?)"
_KEY_ALONE = re.compile(rf"(?:metrics?|params?|parameters?|attributes?)\.\S+|{_KEY}{_COMPARISON}\S*", re.IGNORECASE)
_KEY_OF_ANY_KIND = re.compile(r"[\w`-]+\.\S+|run_name|run_id|status|start_time|end_time|created", re.IGNORECASE)
_OPERATOR = re.compile(rf"{_COMPARISON}(?:[-+.\d'].*)?|i?like|in|is|between", re.IGNORECASE)
_SURE_OPERATOR = re.compile(rf"{_COMPARISON}(?:[-+.\d'].*)?")
QUOTES = "Put it in double quotes to look for the words themselves."


@dataclass(frozen=True)
class Query:
    """What is looked for; an empty one finds every kept run.

    text:         words, all of which a run must have in its name, note, tags, experiment, model or picture; and clauses
                  of MLflow's filter language, such as metrics.predicted_iou > 0.8. Every character in a word
                  stands for itself; in a clause's LIKE, % and _ are wildcards, as in the store
    model:        its exact name
    picture:      the exact name of the picture, the second picture or the film; tag: `key` or `key=value`
    since, until: days in `zone`, both included; None in `zone`: this machine's
    deleted:      only those that were deleted, instead of the others
    owner:        only the runs of that visitor, as the tag `OWNER` has it
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
    owner: str | None = None


OWN_RUNS = f"attributes.user_id != '{SWEEP_USER}'"
"""Sweeps have runs in the store too, which are no runs of an experiment. A column of a run's own row costs a search
nothing, where a tag would double its time.
"""
EVERYTHING = Query()


@dataclass(frozen=True)
class Order:
    """By what a list is sorted; runs that do not have it come last, and equal ones with the newest first.

    kind: "created" and "name" have no further name; a metric (timings among them) and a parameter have theirs
    """

    kind: Literal["created", "name", "metric", "param"] = "created"
    name: str = ""
    descending: bool = True


NEWEST = Order()


@dataclass(frozen=True)
class Place:
    """Where a page begins in an order that the store can't make: ids of all runs in that order, and the first one's
    number.
    """

    ids: tuple[str, ...] = field(repr=False)
    start: int


Token = str | Place
"""Where a page begins; only `search_runs` reads it."""


@dataclass(frozen=True)
class RunPage:
    """next: what `search_runs` takes for the page behind this one, or None on the last."""

    runs: tuple[RunSummary, ...]
    next: Token | None


def search_runs(
    store: RunStore, query: Query = EVERYTHING, page: Token | None = None, size: int = PAGE, order: Order = NEWEST
) -> RunPage:
    """One page of the runs that `query` finds, newest first unless `order` says else. Raises BadInput for a filter that
    the store can't read.

    A parameter is text for the store, where 10 comes before 9, and metrics that have another name today stand there
    under their old one. So by those at most `MAX_SORTED` runs, the newest, are sorted here, numbers by their size and
    before words; what is behind them is not listed.
    """
    if isinstance(page, Place):
        return _page_of_ids(store, query, page, size)
    if order.kind == "param" or (order.kind == "metric" and RENAMED in order.name):
        return _page_of_ids(store, query, Place(_sorted_ids(store, query, order), 0), size)
    return _search(store, query, filter_string(query), _order_by(order), page, size)


def _order_by(order: Order) -> str:
    """In MLflow's language, for what the store can sort by; it puts those without a value last itself."""
    direction = "DESC" if order.descending else "ASC"
    if order.kind == "metric":
        return f"metrics.`{order.name.replace('`', '')}` {direction}"
    return f"attributes.{'start_time' if order.kind == 'created' else 'run_name'} {direction}"


def _sorted_ids(store: RunStore, query: Query, order: Order) -> tuple[str, ...]:
    found = _search(store, query, filter_string(query), _order_by(NEWEST), None, MAX_SORTED).runs
    keys = {run.run_id: key for run in found if (key := _sort_key(run, order)) is not None}
    having = sorted(keys, key=keys.__getitem__, reverse=order.descending)
    # Words stay behind numbers in both directions.
    having.sort(key=lambda run_id: keys[run_id][0])
    return (*having, *(run.run_id for run in found if run.run_id not in keys))


def _sort_key(run: RunSummary, order: Order) -> tuple[int, float, str] | None:
    """Numbers by their size, then words by their letters; None where the run has no value."""
    value = run.metrics.get(order.name) if order.kind == "metric" else run.params.get(order.name)
    if value is None or value in NO_VALUE:
        return None
    try:
        return 0, float(value), ""
    except ValueError:
        return 1, 0.0, str(value).lower()


def _page_of_ids(store: RunStore, query: Query, place: Place, size: int) -> RunPage:
    """Runs that were deleted or changed since the order was made, so that they do not belong here, are left out."""
    ids = place.ids[place.start : place.start + size]
    if not ids:
        return RunPage((), None)
    listed = ", ".join(f"'{run_id}'" for run_id in ids)
    found = _search(
        store, query, f"{filter_string(query)} and run_id IN ({listed})", _order_by(NEWEST), None, size
    ).runs
    by_id = {run.run_id: run for run in found}
    end = place.start + size
    following = Place(place.ids, end) if end < len(place.ids) else None
    return RunPage(tuple(by_id[run_id] for run_id in ids if run_id in by_id), following)


def neighbours(store: RunStore, query: Query, run: RunSummary) -> tuple[RunSummary | None, RunSummary | None]:
    """(the next newer, the next older) run that `query` finds, in the order of its pages; None at an end."""
    condition = filter_string(query)
    # Runs of one millisecond stand in the order of their ids.
    together = _of_one_moment(store, query, condition, run.created_ms)
    newer = [each for each in together if each.run_id < run.run_id][-1:]
    older = [each for each in together if each.run_id > run.run_id][:1]
    if not newer:
        later = _search(
            store,
            query,
            f"{condition} and attributes.start_time > {run.created_ms}",
            _order_by(Order(descending=False)),
            None,
            1,
        ).runs
        newer = _of_one_moment(store, query, condition, later[0].created_ms)[-1:] if later else []
    if not older:
        earlier = f"{condition} and attributes.start_time < {run.created_ms}"
        older = list(_search(store, query, earlier, _order_by(NEWEST), None, 1).runs)
    return newer[0] if newer else None, older[0] if older else None


def _of_one_moment(store: RunStore, query: Query, condition: str, milliseconds: int) -> list[RunSummary]:
    """At most a thousand, by their ids."""
    at_once = f"{condition} and attributes.start_time = {milliseconds}"
    return sorted(_search(store, query, at_once, _order_by(NEWEST), None, 1_000).runs, key=lambda each: each.run_id)


def _search(store: RunStore, query: Query, condition: str, order_by: str, page: str | None, size: int) -> RunPage:
    from mlflow.entities import ViewType
    from mlflow.exceptions import MlflowException

    client, matches = store.client(), _matches(query)
    with store_errors(store.uri):
        ids = store.experiment_ids(query.experiment)
        if not ids:
            return RunPage((), None)
        view = ViewType.DELETED_ONLY if query.deleted else ViewType.ACTIVE_ONLY

        def ask(token: str | None, count: int) -> "PagedList[Run]":
            return client.search_runs(ids, condition, view, max_results=count, order_by=[order_by], page_token=token)

        try:
            if matches is None:
                runs = ask(page, size)
                return RunPage(tuple(summary_of(run) for run in runs), runs.token or None)
            return _scan(ask, matches, page, size)
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            raise BadInput(f"This search can't be read: {_first_sentence(error)} {EXAMPLE}") from None


def _scan(
    ask: "Callable[[str | None, int], PagedList[Run]]",
    matches: Callable[[RunSummary], bool],
    page: str | None,
    size: int,
) -> RunPage:
    """One page of those that match among what the store finds. Its `next` is the store's token and a place behind that,
    with a blank between.
    """
    token, _, start = (page or "").partition(" ")
    place, matching = int(start or 0), list[RunSummary]()
    while True:
        runs = ask(token or None, SCANNED)
        for index, run in enumerate(map(summary_of, runs)):
            if index < place or not matches(run):
                continue
            if len(matching) == size:
                return RunPage(tuple(matching), f"{token} {index}")
            matching.append(run)
        if not runs.token:
            return RunPage(tuple(matching), None)
        # A database's tokens are bytes, those of a server are text.
        token, place = runs.token.decode() if isinstance(runs.token, bytes) else runs.token, 0


def _matches(query: Query) -> Callable[[RunSummary], bool] | None:
    """What the store's language can't ask: words with characters that LIKE takes for wildcards, and a name that may
    stand in one of several tags. None where the store can ask it all.
    """
    exact = [word for word in split_text(query.text)[0] if _literal(word) != word or "_" in word]
    picture = query.picture
    if not exact and not picture:
        return None

    def matches(run: RunSummary) -> bool:
        words = run.tags.get(WORDS, "")
        return all(word in words for word in exact) and (
            not picture or picture in [run.tags.get(key) for key in PICTURES]
        )

    return matches


def kept_experiments(store: RunStore) -> list[str]:
    """The experiments that have had runs, by name."""
    with store_errors(store.uri):
        return sorted(store.experiments())


def filter_string(query: Query) -> str:
    """The query in MLflow's filter language; with a picture, or with characters in words that LIKE takes for
    wildcards, it finds more than is looked for.
    """
    words, clauses = split_text(query.text)
    clauses = ["attributes.status = 'FINISHED'", OWN_RUNS, *clauses]
    clauses += [f"tags.`{WORDS}` ILIKE '%{_literal(word)}%'" for word in words]
    if query.picture:
        clauses.append(f"tags.`{WORDS}` ILIKE '%{_literal(_as_words(query.picture))}%'")
    if query.model:
        clauses.append(f"tags.`samkit.model` = {_string(query.model)}")
    if query.tag and query.tag.strip():
        key, equals, value = query.tag.partition("=")
        key = f"tags.`{key.strip().replace('`', '')}`"
        clauses.append(f"{key} = {_string(value.strip())}" if equals else f"{key} ILIKE '%'")
    if query.owner:
        clauses.append(f"tags.`{OWNER}` = {_string(query.owner)}")
    if query.since:
        clauses.append(f"attributes.start_time >= {_milliseconds(query.since, query.zone)}")
    if query.until:
        clauses.append(f"attributes.start_time < {_milliseconds(query.until + timedelta(days=1), query.zone)}")
    return " and ".join(clauses)


def split_text(text: str) -> tuple[list[str], list[str]]:
    """(words, clauses of the filter language) of what was typed, all of which must hold. A quoted phrase is one word.

    Raises BadInput for what is too long, and for what looks like a clause and can't be read.
    """
    if len(text) > MAX_SEARCH_CHARACTERS:
        raise BadInput(f"This search is {len(text)} characters long; at most {MAX_SEARCH_CHARACTERS} are looked for.")
    tokens = list(_TOKEN.finditer(text))
    _check_tokens(tokens)
    clauses = [token["clause"].strip() for token in tokens if token["clause"]]
    if not clauses:
        # Brackets are part of words then, as in `coffee (2)`.
        tokens = list(_WORD.finditer(text))
    texts = [token["phrase"] or token["plain"] or "" for token in tokens if (token["plain"] or "").lower() != "and"]
    words = [word for word in map(_as_words, texts) if word]
    if len(words) + len(clauses) > MAX_PARTS:
        raise BadInput(
            f"This search has {len(words) + len(clauses)} words and clauses; at most {MAX_PARTS} are looked for. "
            "Leave some out, or put words that follow each other in double quotes."
        )
    return words, clauses


def _check_tokens(tokens: list[re.Match]) -> None:
    """Raises BadInput for what would be a filter, were it written so that the store can read it."""
    has_clause = any(token["clause"] for token in tokens)
    for index, token in enumerate(tokens):
        plain, following = token["plain"] or "", tokens[index + 1]["plain"] or "" if index + 1 < len(tokens) else ""
        if plain.lower() in ("or", "not"):
            raise BadInput(
                f"A search can't have {plain.upper()}: every word and clause in it must hold. Search for one after "
                f"the other. {QUOTES} {EXAMPLE}"
            )
        if _KEY_OF_ANY_KIND.fullmatch(plain) and following.lower() == "between":
            raise BadInput(
                f"A search can't have BETWEEN: write two clauses, such as {plain[:60]} >= 0.5 and {plain[:60]} <= 0.8."
            )
        if token["bracket"] and has_clause:
            raise BadInput(
                "A search with clauses can't have parentheses: every word and clause in it must hold, so leave "
                f"them out. {QUOTES} {EXAMPLE}"
            )
        if (
            _KEY_ALONE.fullmatch(plain)
            or _SURE_OPERATOR.fullmatch(plain)
            or (_KEY_OF_ANY_KIND.fullmatch(plain) and _OPERATOR.fullmatch(following))
        ):
            raise BadInput(
                f"This search can't be read: {f'{plain} {following}'.strip()[:80]!r} looks like a clause, but is "
                f"none. {QUOTES} {EXAMPLE}"
            )


def _as_words(text: str) -> str:
    """As the tag of a run's words has it."""
    return " ".join(text.split()).lower()


def _literal(word: str) -> str:
    """A word inside LIKE '%...%'. Quotes, backslashes and % become LIKE's wildcard for one character, so that no
    word can end the string.
    """
    return re.sub(r"['\"\\`%]", "_", word)


def _string(value: str) -> str:
    quote = '"' if "'" in value else "'"
    return quote + value.replace(quote, "") + quote


def _milliseconds(day: date, zone: tzinfo | None) -> int:
    return int(datetime.combine(day, time(), zone).timestamp() * 1000)


def _first_sentence(error: Exception) -> str:
    line = re.sub(r"^[A-Z_]+: ", "", str(error).strip().splitlines()[0])[:200]
    return line if line.endswith((".", "!", "?")) else f"{line}."
