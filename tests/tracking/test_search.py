"""Finding kept runs: plain words, the filter language, filters, pages, and what may be changed of a run."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from samkit.errors import BadInput
from samkit.experiments.result import Mask
from samkit.tracking.bundle.bundle import write_bundle
from samkit.tracking.store.edit import delete_run, note_run, read_run, rename_run, restore_run, tag_run
from samkit.tracking.store.search import Query, filter_string, kept_experiments, neighbours, search_runs, split_text
from samkit.tracking.store.store import RunStore
from samkit.tracking.store.tags import MAX_TAG_CHARACTERS, THUMBNAIL, WORDS, thumbnail_of, user_tags
from tests.tracking.conftest import MODEL, made_up_bundle, made_up_result

NAMES = {0: "coffee cup", 1: "Coffee, 100% blurred", 2: "O'Brien's cat"}


def keep(
    store: RunStore,
    folder,
    seed: int,
    name: str,
    note: str = "",
    experiment: str = "mask-stability",
    picture: str = "noise.png",
) -> str:
    result, inputs = made_up_result(seed)
    inputs = replace(inputs, image=type(inputs.image)(inputs.image.rgb, picture))
    parts = dict(
        result=replace(result, experiment=experiment),
        inputs=inputs,
        model_info=MODEL,
        device="cpu",
        dtype="float32",
        name=name,
        note=note,
    )
    return store.keep(write_bundle(folder / f"run{seed}", **parts)).run_id


def keep_three(store: RunStore, folder) -> dict[int, str]:
    """Ids by seed."""
    return {
        0: keep(store, folder, 0, NAMES[0], "the handle is lost", picture="coffee"),
        1: keep(store, folder, 1, NAMES[1], experiment="cross-image", picture="coffee"),
        2: keep(store, folder, 2, NAMES[2], picture="chelsea"),
    }


@pytest.fixture(scope="module", params=["sqlite", "http"])
def store(request, tmp_path_factory) -> RunStore:
    folder = tmp_path_factory.mktemp("search")
    if request.param == "http":
        return RunStore(request.getfixturevalue("http_uri"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMKIT_HOME", str(folder))
        store = RunStore(f"sqlite:///{folder / 'mlflow.db'}")
        keep(store, folder, 9, "of no test")
    return store


@pytest.fixture(scope="module")
def kept(store, tmp_path_factory) -> tuple[RunStore, dict[int, str]]:
    """A store with three runs that no test changes."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("kept")
        patch.setenv("SAMKIT_HOME", str(folder))
        return store, keep_three(store, folder)


@pytest.fixture
def own(store, tmp_path) -> tuple[RunStore, dict[int, str]]:
    """Three such runs for one test."""
    return store, keep_three(store, tmp_path)


def seeds_of(kept, **query) -> list[int]:
    """Seeds of the runs of `kept` that are found, in the order they are found in."""
    store, ids = kept
    by_id = {run_id: seed for seed, run_id in ids.items()}
    return [by_id[run.run_id] for run in search_runs(store, Query(**query), size=200).runs if run.run_id in by_id]


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("", [2, 1, 0]),
        ("coffee", [1, 0]),
        ("COFFEE cup", [0]),
        ('"coffee, 100%"', [1]),
        ("handle", [0]),
        ("chelsea", [2]),
        ("cross-image", [1]),
        ("O'Brien's", [2]),
        ("made-up", [2, 1, 0]),
        ("coffee and made-up", [1, 0]),
        ("100%", [1]),
        ("1%0", []),
        ("c_p", []),
        ("%", [1]),
        ("o\\brien", []),
        ("coffee_cup", []),
        ("nothing like it", []),
        ("metrics.predicted_iou > 1", [2, 1]),
        ("metrics.predicted_iou >= 1.5 and metrics.area_px = 12", [2, 1]),
        ("coffee metrics.predicted_iou > 1", [1]),
        ("params.lower_threshold = '-2.0' AND coffee", [1, 0]),
        ("tags.`samkit.picture` = 'chelsea'", [2]),
        ("run_name ILIKE '%BRIEN%'", [2]),
        ("attributes.run_name LIKE 'coffee%'", [0]),
        ("params.no_such_thing = 'x'", []),
    ],
)
def test_words_and_clauses_find_runs(kept, text, seeds):
    assert seeds_of(kept, text=text) == seeds


def test_filters_narrow_what_is_found(own):
    store, ids = own
    assert seeds_of(own, experiment="cross-image") == [1] and seeds_of(own, experiment="no-such") == []
    assert seeds_of(own, model="made-up") == [2, 1, 0] and seeds_of(own, model="made") == []
    assert seeds_of(own, picture="coffee", experiment="mask-stability") == [0]
    tag_run(store, ids[0], {"keeper": "", "figure 3": "left"})
    assert (
        seeds_of(own, tag="keeper") == [0]
        and seeds_of(own, tag="figure 3=left") == [0]
        and seeds_of(own, tag="figure 3=right") == []
    )
    assert seeds_of(own, text="keeper") == [0]
    today = datetime.now(UTC).date()
    assert seeds_of(own, since=today, until=today, zone=UTC) == [2, 1, 0]
    assert (
        seeds_of(own, since=today + timedelta(days=1), zone=UTC) == []
        and seeds_of(own, until=date(2000, 1, 1), zone=UTC) == []
    )
    assert {"cross-image", "mask-stability"} <= set(kept_experiments(store))


@pytest.mark.parametrize("text", ["metrics.x > 'abc'", "attributes.nothing = 'x'", "params.x > 3", "x" * 2000])
def test_a_search_that_cannot_be_read_is_a_sentence(kept, text):
    with pytest.raises(BadInput, match="can't be read|characters long"):
        search_runs(kept[0], Query(text=text))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("metrics.predicted_iou >", "looks like a clause"),
        ("metrics.predicted_iou", "looks like a clause"),
        ("dataset.name = 'x'", "looks like a clause"),
        ("x' and status = 'RUNNING", "looks like a clause"),
        ("iou > 0.8", "looks like a clause"),
        ("tags.x like", "looks like a clause"),
        ("status in", "looks like a clause"),
        ("metrics.a > 1 or metrics.b > 2", "can't have OR"),
        ("coffee OR cat", "can't have OR"),
        ("not metrics.a > 1", "can't have NOT"),
        ("(metrics.a > 1) cat", "can't have parentheses"),
        ("metrics.a between 0 and 1", "can't have BETWEEN"),
        (" ".join(f"w{i}" for i in range(70)), "has 70 words and clauses; at most 20"),
        ("w " * 400, "has 400 words and clauses; at most 20"),
    ],
)
def test_what_looks_like_a_filter_and_is_none_is_a_sentence(text, sentence):
    with pytest.raises(BadInput, match=sentence):
        split_text(text)


def test_the_largest_search_that_is_allowed_is_answered(kept):
    assert seeds_of(
        kept, text="coffee " * 20, model="made-up", picture="coffee", tag="samkit.model=made-up", since=date(2000, 1, 1)
    ) == [1, 0]


def test_a_picture_is_found_as_second_picture_and_as_film_by_its_whole_name(own):
    store, ids = own
    store.client().set_tag(ids[0], "samkit.picture_b", "rocket")
    store.client().set_tag(ids[2], "samkit.video", "rocket")
    for run_id in ids.values():
        tag_run(store, run_id, {"rocket": ""})
    assert seeds_of(own, picture="rocket") == [2, 0] and seeds_of(own, picture="rock") == []


def paged(store, query: Query) -> tuple[list[str], list[int]]:
    """All pages of two runs, one after the other: (the runs' ids, how many each page has)."""
    seen, sizes, token = [], [], None
    while token is not None or not sizes:
        page = search_runs(store, query, token, size=2)
        seen += [run.run_id for run in page.runs]
        sizes.append(len(page.runs))
        token = page.next
    return seen, sizes


def test_pages_of_one_picture_follow_each_other(store, tmp_path, monkeypatch):
    monkeypatch.setattr("samkit.tracking.store.search.SCANNED", 2)
    ids = [
        keep(store, tmp_path, seed, "page", "of paging", picture="paged" if seed % 2 else "paged not")
        for seed in range(9)
    ]
    seen, sizes = paged(store, Query(picture="paged"))
    assert seen == ids[1::2][::-1] and sizes == [2, 2]


@pytest.mark.parametrize("word", ["a'b", 'a"b', "a`b", "a\\b", '"\' or 1=1 --"', "%", "é", "x' and status = 'RUNNING'"])
def test_no_word_leaves_its_quotes(kept, word):
    assert seeds_of(kept, text=word) in ([], [2, 1, 0], [1])


@pytest.mark.parametrize(
    ("text", "words", "clauses"),
    [
        ("cat and dog", ["cat", "dog"], []),
        ('cat "and" "a  B"', ["cat", "and", "a b"], []),
        ('"metrics.x > 1" "or"', ["metrics.x > 1", "or"], []),
        ("coffee (2) lr=3 run.png", ["coffee", "(2)", "lr=3", "run.png"], []),
        ("between eyes in like", ["between", "eyes", "in", "like"], []),
        ("cat and metrics.a>1 and params.b = 'x y' and dog", ["cat", "dog"], ["metrics.a>1", "params.b = 'x y'"]),
        ("metric.a <= -1e-3", [], ["metric.a <= -1e-3"]),
        ("tags.`a b` IS NOT NULL", [], ["tags.`a b` IS NOT NULL"]),
        ("run_id IN ('a', 'b') cat", ["cat"], ["run_id IN ('a', 'b')"]),
        ("metrics", ["metrics"], []),
    ],
)
def test_text_is_taken_apart(text, words, clauses):
    assert split_text(text) == (words, clauses)


def test_an_empty_query_asks_for_finished_runs_of_experiments_only():
    assert filter_string(Query()) == "attributes.status = 'FINISHED' and attributes.user_id != 'samkit sweep'"


def test_pages_follow_each_other_without_gap_or_repetition(store, tmp_path):
    ids = [store.keep(made_up_bundle(tmp_path / f"run{seed}", seed)).run_id for seed in range(5)]
    seen, sizes = paged(store, Query(text="metrics.area_px = 12"))
    assert seen[:5] == ids[::-1] and len(set(seen)) == len(seen) and set(sizes[:-1]) == {2}


def test_a_run_has_neighbours_in_what_is_found(kept):
    store, ids = kept
    of = {seed: read_run(store, run_id) for seed, run_id in ids.items()}
    query = Query(text="made-up", model="made-up", until=date(2100, 1, 1))
    newer, older = neighbours(store, query, of[1])
    assert (newer.run_id, older.run_id) == (ids[2], ids[0])
    assert neighbours(store, Query(text="brien's"), of[0])[0].run_id == ids[2] and neighbours(
        store, Query(text="zebra"), of[1]
    ) == (None, None)


def test_name_note_and_tags_are_changed_found_and_exported(own, tmp_path):
    store, ids = own
    rename_run(store, ids[0], "espresso")
    note_run(store, ids[0], "first note")
    note_run(store, ids[0], "bitter")
    tag_run(store, ids[0], {"old": "1", "stays": "1"})
    tag_run(store, ids[0], {"stays": "2"})
    run = read_run(store, ids[0])
    assert (run.name, run.tags["mlflow.note.content"], user_tags(run.tags)) == ("espresso", "bitter", {"stays": "2"})
    assert (
        seeds_of(own, text="espresso bitter stays") == [0]
        and seeds_of(own, text="handle") == []
        and seeds_of(own, text="cup") == []
    )
    record = store.load(ids[0], tmp_path / "loaded").record
    assert (record.name, record.note, record.tags) == ("espresso", "bitter", {"stays": "2"})


def test_a_deleted_run_is_gone_until_it_is_restored_or_kept_again(own, tmp_path):
    store, ids = own
    bundle = store.load(ids[1], tmp_path / "loaded")
    delete_run(store, ids[1])
    assert seeds_of(own) == [2, 0] and read_run(store, ids[1]).deleted
    assert ids[1] in [run.run_id for run in search_runs(store, Query(deleted=True)).runs]
    restore_run(store, ids[1])
    assert seeds_of(own) == [2, 1, 0]
    delete_run(store, ids[1])
    assert store.keep(bundle).run_id == ids[1] and seeds_of(own) == [2, 1, 0]


@pytest.mark.parametrize("key", ["mlflow.x", "samkit.model", "", "a`b", "x" * 101])
def test_tags_of_others_cannot_be_given(kept, key):
    store, ids = kept
    with pytest.raises(BadInput, match="can't be a tag"):
        tag_run(store, ids[0], {key: "x"})


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_names_have_a_length(kept, name):
    with pytest.raises(BadInput, match="1 to 200 characters"):
        rename_run(kept[0], kept[1][0], name)


def test_a_tag_that_mlflows_pages_allow_stays_while_others_are_changed(own):
    store, ids = own
    store.client().set_tag(ids[0], "x:y", "theirs")
    tag_run(store, ids[0], {"x:y": "theirs", "keeper": ""})
    assert user_tags(read_run(store, ids[0]).tags) == {"x:y": "theirs", "keeper": ""}
    with pytest.raises(BadInput, match="can't be a tag"):
        tag_run(store, ids[0], {"x:y": "theirs", "new:one": ""})
    tag_run(store, ids[0], {"keeper": ""})
    assert user_tags(read_run(store, ids[0]).tags) == {"keeper": ""}


def test_runs_of_others_are_neither_opened_nor_deleted(kept, tmp_path):
    client = kept[0].client()
    foreign = client.create_run(client.get_experiment_by_name("samkit/mask-stability").experiment_id).info.run_id
    for change in (read_run, delete_run, restore_run):
        with pytest.raises(BadInput, match="not one of samkit's runs"):
            change(kept[0], foreign)
    with pytest.raises(BadInput, match="not one of samkit's runs"):
        kept[0].load(foreign, tmp_path / "loaded")
    assert client.get_run(foreign).info.lifecycle_stage == "active" and not (tmp_path / "loaded").exists()


def test_a_run_that_was_sent_in_part_is_a_sentence(own, tmp_path):
    store, ids = own
    store.client().set_terminated(ids[0], "FAILED")
    with pytest.raises(BadInput, match=r"only in part \(FAILED\)"):
        store.load(ids[0], tmp_path / "half")


def test_words_and_thumbnail_fit_into_their_tags(tmp_path):
    rng = np.random.default_rng(0)
    result, inputs = made_up_result()
    noise = type(inputs.image)(rng.integers(0, 256, (900, 1200, 3), dtype=np.uint8), "noise")
    inputs, result = (
        replace(inputs, image=noise),
        replace(result, masks={"mask_chosen": Mask(rng.random((900, 1200)) > 0.5)}),
    )
    bundle = write_bundle(
        tmp_path / "run", result=result, inputs=inputs, model_info=MODEL, device="cpu", dtype="float32", note="n" * 9000
    )
    assert thumbnail_of(bundle).shape == (112, 149, 3)
    tags = read_run(RunStore(), RunStore().keep(bundle).run_id).tags
    assert tags[THUMBNAIL].startswith("data:image/webp;base64,") and max(map(len, tags.values())) <= MAX_TAG_CHARACTERS
    assert tags[WORDS].startswith("mask-stability noise")


def test_a_run_without_a_picture_shows_one_it_made_or_none(tmp_path):
    result, inputs = made_up_result()
    inputs, result = replace(inputs, image=None), replace(result, masks={})
    parts = dict(inputs=inputs, model_info=MODEL, device="cpu", dtype="float32")
    assert thumbnail_of(write_bundle(tmp_path / "one", result=result, **parts)).shape == (96, 160, 3)
    bare = write_bundle(tmp_path / "none", result=replace(result, images={}), **parts)
    assert thumbnail_of(bare) is None and THUMBNAIL not in read_run(RunStore(), RunStore().keep(bare).run_id).tags
