"""What may be changed of a kept run: its name, note and tags, and whether it is deleted. Its files stay as they were
kept.
"""

import re
from collections.abc import Collection, Mapping

from samkit.errors import BadInput
from samkit.tracking.store.description import MAX_DESCRIPTION, described, parted
from samkit.tracking.store.store import RunStore, RunSummary, store_errors, summary_of
from samkit.tracking.store.tags import MAX_TAG_CHARACTERS, NAME, NOTE, WORDS, note_text, user_tags, words_of

MAX_NAME_CHARACTERS = 200
MAX_KEY_CHARACTERS = 100
TAG_KEY = re.compile(r"[\w][\w ./-]*")


def read_run(store: RunStore, run_id: str) -> RunSummary:
    """The run as the store knows it, without its files. BadInput where there is none."""
    return summary_of(store.find_run(run_id))


def rename_run(store: RunStore, run_id: str, name: str) -> None:
    name = name.strip()
    if not name or len(name) > MAX_NAME_CHARACTERS:
        raise BadInput(f"A run's name has 1 to {MAX_NAME_CHARACTERS} characters.")
    _change(store, run_id, {NAME: name})


def note_run(store: RunStore, run_id: str, note: str) -> None:
    """An empty note takes the old one away."""
    about = parted(store.find_run(run_id).data.tags.get(NOTE, ""))[1]
    _change(store, run_id, {NOTE: described(note_text(note.strip()), about, MAX_DESCRIPTION)})


def tag_run(store: RunStore, run_id: str, tags: Mapping[str, str]) -> None:
    """The run's tags become these: other tags that a person wrote are removed. BadInput for new keys that are samkit's
    or MLflow's own.

    A tag that is there already keeps its key, whatever that is: MLflow's own pages allow more than is allowed here.
    """
    there = user_tags(read_run(store, run_id).tags)
    changed = {key: value for key, value in tags.items() if there.get(key) != value}
    for key, value in changed.items():
        if key not in there and (
            not TAG_KEY.fullmatch(key) or len(key) > MAX_KEY_CHARACTERS or not user_tags({key: value})
        ):
            raise BadInput(
                f"{key[:60]!r} can't be a tag: use up to {MAX_KEY_CHARACTERS} letters, digits, spaces and . / - _, "
                "and begin with neither samkit. nor mlflow."
            )
        if len(value) > MAX_TAG_CHARACTERS:
            raise BadInput(f"The tag {key} is {len(value)} characters long; at most {MAX_TAG_CHARACTERS} are kept.")
    _change(store, run_id, changed, there.keys() - tags.keys())


def delete_run(store: RunStore, run_id: str) -> None:
    """The run is in no list any more; its files stay until MLflow's own `mlflow gc`."""
    store.find_run(run_id)
    with store_errors(store.uri):
        store.client().delete_run(run_id)


def restore_run(store: RunStore, run_id: str) -> None:
    """Back into the lists."""
    store.find_run(run_id)
    with store_errors(store.uri):
        store.client().restore_run(run_id)


def _change(store: RunStore, run_id: str, tags: Mapping[str, str], gone: Collection[str] = ()) -> None:
    run = read_run(store, run_id)
    kept = {key: value for key, value in run.tags.items() if key not in gone} | dict(tags)
    tags = {**tags, WORDS: words_of(kept.get(NAME, run.name), kept)}
    with store_errors(store.uri):
        for key in gone:
            store.client().delete_tag(run_id, key)
        for key, value in tags.items():
            store.client().set_tag(run_id, key, value)
