"""Times the lists and pages of kept runs on a store of many: `python -m benchmarks.runs [--runs 10000] [--keep
FOLDER]`.

The store is filled through MLflow's own tables in large batches, because one run after the other through its API takes
an hour. All runs share the files of a few real ones. 10,000 runs in SQLite on two busy cores: filled in 20 s; any page
of any list 30 to 90 ms (median), a run with its files 80 ms.
"""

import argparse
import os
import statistics
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np

from samkit.experiments.inputs import Inputs
from samkit.experiments.mask_stability import Params
from samkit.experiments.result import Mask, Result, higher, neutral
from samkit.media.samples import load_sample
from samkit.prompts import Prompts
from samkit.tracking.bundle.bundle import Bundle, write_bundle
from samkit.tracking.store.search import Order, Query, search_runs
from samkit.tracking.store.store import RunStore
from samkit.tracking.store.tags import WORDS, tags_of, words_of

EXPERIMENTS = ("mask-stability", "cross-image", "block-norms", "video-priors")
PICTURES = ("coffee", "chelsea", "coins", "astronaut")
BATCH = 500
ROUNDS = 5


def template(folder: Path, experiment: str, picture: str) -> Bundle:
    """A real run's folder."""
    from types import SimpleNamespace

    image = load_sample(picture)
    yy, xx = np.ogrid[: image.height, : image.width]
    mask = (yy - image.height / 2) ** 2 + (xx - image.width / 2) ** 2 < (image.height / 3) ** 2
    metrics = {
        "predicted_iou": higher(0.8, key=True),
        "stability_score": higher(0.9, key=True),
        "area_share": neutral(0.2, key=True),
        "object_score": higher(3.0),
    }
    result = Result(
        experiment,
        Params(),
        masks={f"mask_{index}": Mask(mask) for index in range(4)},
        metrics=metrics,
        facts={"mask_index": 2},
        timings={"encode_ms": 40.0, "decode_ms": 6.0},
    )
    digest = "ab" * 32
    known = dict(name="nano-sam2", family="sam2", version="2.1", sha256=digest, file_sha256=digest)
    info = SimpleNamespace(**known, changes=(), settings={})
    return write_bundle(
        folder,
        result=result,
        inputs=Inputs(image, Prompts(points=[(0.5, 0.5, 1)])),
        model_info=info,
        device="cpu",
        dtype="float32",
        note="one of many",
    )


def fill(store: RunStore, folder: Path, count: int) -> None:
    """Put `count` runs into the store behind `store`, a minute between each and the next."""
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
    from sqlalchemy import create_engine, insert

    first = []
    for experiment in EXPERIMENTS:
        for picture in PICTURES:
            bundle = template(folder / f"{experiment}-{picture}", experiment, picture)
            kept = store.keep(bundle)
            run = store.find_run(kept.run_id)
            first.append((bundle, tags_of(bundle), kept.experiment_id, run.info.artifact_uri))
    rng, now = np.random.default_rng(0), int(time.time() * 1000)
    engine = create_engine(store.uri)
    for start in range(len(first), count, BATCH):
        rows = {table: [] for table in (SqlRun, SqlParam, SqlMetric, SqlLatestMetric, SqlTag)}
        for number in range(start, min(count, start + BATCH)):
            bundle, tags, experiment_id, artifacts = first[number % len(first)]
            run_uuid, name, created = uuid.uuid4().hex, f"run {number}", now - number * 60_000
            origin = dict(
                source_type="UNKNOWN",
                source_name="",
                entry_point_name="",
                user_id="benchmark",
                status="FINISHED",
                source_version="",
            )
            run = dict(
                run_uuid=run_uuid,
                name=name,
                experiment_id=int(experiment_id),
                artifact_uri=artifacts,
                lifecycle_stage="active",
                deleted_time=None,
            )
            rows[SqlRun].append(run | origin | dict(start_time=created, end_time=created))
            rows[SqlParam] += [
                dict(run_uuid=run_uuid, key=key, value=str(value)) for key, value in bundle.params.items()
            ]
            metrics = {key: float(rng.random()) for key in bundle.record.metrics} | bundle.record.timings
            point = dict(run_uuid=run_uuid, timestamp=created, step=0, is_nan=False)
            rows[SqlMetric] += [point | dict(key=key, value=value) for key, value in metrics.items()]
            rows[SqlLatestMetric] += [point | dict(key=key, value=value) for key, value in metrics.items()]
            own = tags | {"samkit.run_uuid": uuid.uuid4().hex, "mlflow.runName": name, WORDS: words_of(name, tags)}
            own |= {"keeper": ""} if number % 100 == 0 else {}
            rows[SqlTag] += [dict(run_uuid=run_uuid, key=key, value=value) for key, value in own.items()]
        with engine.begin() as connection:
            for table, values in rows.items():
                connection.execute(insert(table), values)
    engine.dispose()


def timed(what: str, work) -> object:
    """Median and slowest of ROUNDS, after one that is not counted."""
    work()
    took = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        result = work()
        took.append(1000 * (time.perf_counter() - start))
    print(f"{what:<58} {statistics.median(took):7.0f} ms  {max(took):7.0f} ms", flush=True)
    return result


def page_number(store: RunStore, number: int):
    """The page so far behind the first."""
    token = None
    for _ in range(number):
        token = search_runs(store, Query(), token).next
    return token


def measure(store: RunStore, count: int) -> None:
    print(f"{count} runs in {store.uri.partition(':')[0]}; median and slowest of {ROUNDS}")
    newest = timed("first page", lambda: search_runs(store))
    for share in (0.5, 0.95):
        token = page_number(store, int(share * count / 25))
        timed(f"page {int(share * count / 25) + 1}", lambda token=token: search_runs(store, Query(), token))
    for what, query in {
        "one word (a quarter of the runs)": Query(text="chelsea"),
        "three words": Query(text="chelsea mask many"),
        "a word that finds nothing": Query(text="zebra"),
        "a metric and a parameter": Query(text="metrics.predicted_iou > 0.5 and params.fit = 'native'"),
        "a word, a metric, experiment, model, picture": Query(
            text="many metrics.predicted_iou > 0.5", experiment="mask-stability", model="nano-sam2", picture="coffee"
        ),
        "a tag": Query(tag="keeper"),
    }.items():
        timed(what, lambda query=query: search_runs(store, query))
    for what, order in {
        "sorted by a metric": Order("metric", "predicted_iou"),
        "sorted by a parameter": Order("param", "upper_threshold"),
    }.items():
        first = timed(f"{what}, first page", lambda order=order: search_runs(store, order=order))
        timed(f"{what}, second page", lambda order=order, first=first: search_runs(store, page=first.next, order=order))
    run_id = newest.runs[0].run_id
    timed("one run with its note and tags", lambda: store.find_run(run_id))

    def load():
        with tempfile.TemporaryDirectory() as folder:
            return store.load(run_id, Path(folder) / "run")

    timed("one run with all its files", load)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--store", help="an empty database; default: SQLite in a temporary folder")
    parser.add_argument("--keep", type=Path, help="a folder for the store, which stays there for the app: SAMKIT_HOME")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="samkit-runs-") as temporary:
        home = (arguments.keep or Path(temporary)).absolute()
        home.mkdir(parents=True, exist_ok=True)
        os.environ["SAMKIT_HOME"] = str(home)
        store = RunStore(arguments.store or f"sqlite:///{home / 'mlflow.db'}")
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as templates:
            fill(store, Path(templates), arguments.runs)
        print(f"filled in {time.perf_counter() - start:.0f} s", flush=True)
        measure(store, arguments.runs)


if __name__ == "__main__":
    main()
