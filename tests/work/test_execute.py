"""Specs that run: what is filled in, what is recalled, what is written, and that a retry is kept once."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from samkit.errors import BadInput, Cancelled, CheckpointError, ParamsError
from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.mask_stability import Params
from samkit.media.film import masks_from_json
from samkit.media.films import Video
from samkit.media.pictures import Picture, array_to_png, read_picture
from samkit.media.sample_videos import load_sample_video
from samkit.media.samples import load_sample
from samkit.models.files.hashes import file_sha256
from samkit.models.memory_bank import MemoryBank
from samkit.models.sam import SamModel, load_model
from samkit.prompts import Prompts
from samkit.tracking.bundle.bundle import read_bundle
from samkit.tracking.store.keep import keep_run
from samkit.tracking.store.spool import Spool
from samkit.tracking.store.store import RunStore
from samkit.work.execute import compute, execute, open_inputs, spec_of, write
from samkit.work.kept_run import sources_of, spec_of_bundle
from samkit.work.lab import Lab
from samkit.work.memory import Memory
from samkit.work.replay import replay
from samkit.work.sources import Sources
from samkit.work.spec import PriorSpec, Ref, RunSpec
from tests.media.films import moving_frames, write_film_file
from tests.random_models import SMALL_SAM2, save_random_model
from tests.tracking.schema_1 import FILES, old_run

POINT = Prompts([(0.4, 0.6, 1)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A picture and a model on disk."""
    folder = tmp_path_factory.mktemp("files")
    noise = np.random.default_rng(0).integers(0, 256, (90, 140, 3), dtype=np.uint8)
    (folder / "noise.png").write_bytes(array_to_png(noise))
    save_random_model(folder / "small.safetensors", SMALL_SAM2)
    return folder


@pytest.fixture
def spec(folder):
    return RunSpec(
        "mask-stability",
        Ref(str(folder / "small.safetensors")),
        prompts=POINT,
        image=Ref(str(folder / "noise.png")),
        device="cpu",
    )


@pytest.fixture
def encoded(monkeypatch):
    """One entry for each time that a model encodes a picture."""
    encoded, encode = [], SamModel.encode_image

    def counted(model, *arguments, **options):
        encoded.append(model.info.name)
        return encode(model, *arguments, **options)

    monkeypatch.setattr(SamModel, "encode_image", counted)
    return encoded


def test_what_is_computed_is_looked_at_and_filled_in(spec, folder):
    computed = compute(replace(spec, experiment="Mask_Stability", params={"jitter_copies": 2}, attempt="x"), Lab())
    picture = read_picture(folder / "noise.png")
    assert computed.spec == RunSpec(
        "mask-stability",
        Ref(spec.model.ref, file_sha256(folder / "small.safetensors"), "small"),
        Params(jitter_copies=2).model_dump(mode="json"),
        POINT,
        image=Ref(spec.image.ref, picture.sha256, "noise.png"),
        device="cpu",
        threads=torch.get_num_threads(),
        attempt="x",
    )
    assert computed.inputs == Inputs(picture, POINT) and computed.model.device == "cpu"
    assert computed.result.params == Params(jitter_copies=2) and "jitter_iou" in computed.result.metrics


def test_a_spec_that_was_looked_at_asks_for_the_same_run_again(spec):
    computed = compute(spec, Lab())
    assert computed.spec.id != spec.id and compute(computed.spec, Lab()).spec == computed.spec


def test_a_run_is_written_under_its_specs_id(spec, tmp_path):
    computed = compute(spec, Lab())
    bundle = write(computed, tmp_path / "run", name="a name", note="a note", extra_files={"outputs/more.txt": b"more"})
    record = read_bundle(tmp_path / "run").record
    assert record == bundle.record and record.run_uuid == computed.spec.id
    assert (record.name, record.note, record.device, record.dtype) == ("a name", "a note", "cpu", "float32")
    assert record.model.ref == spec.model.ref and record.picture.ref == spec.image.ref
    assert (tmp_path / "run/outputs/more.txt").read_bytes() == b"more"
    assert execute(spec, Lab(), tmp_path / "again").run_uuid == computed.spec.id


def test_a_retry_is_kept_once_and_another_attempt_is_another_run(spec, tmp_path):
    store, spool = RunStore(f"sqlite:///{tmp_path}/mlflow.db"), Spool(tmp_path / "spool")

    def keep(attempt, folder):
        bundle = execute(replace(spec, attempt=attempt), Lab(), tmp_path / folder)
        return keep_run(bundle, store, spool).run.run_id

    first, retried, other = keep("one", "first"), keep("one", "retried"), keep("two", "other")
    assert first == retried != other
    assert {run.run_id for run in store.runs()} == {first, other} and not spool.waiting()


def test_the_same_run_in_the_same_lab_is_recalled_whole(spec, encoded):
    lab = Lab()
    first = compute(spec, lab).result
    assert encoded and compute(replace(spec, attempt="other"), lab).result is first
    assert len(encoded) == 1
    other = compute(replace(spec, params={"lower_threshold": -3.0}), lab).result
    assert other is not first and len(encoded) == 1
    assert compute(spec, Lab(Memory(2**29), Memory(2**28))).result is not first and len(encoded) == 2


def test_another_name_and_another_number_of_threads_are_not_recalled(spec, folder):
    lab = Lab()
    first = compute(replace(spec, threads=1), lab).result
    named = compute(replace(spec, threads=1, image=replace(spec.image, name="another")), lab)
    assert named.result is not first and named.inputs.image.name == "another"
    if os.cpu_count() > 1:
        assert compute(replace(spec, threads=2), lab).result.threads == 2


@pytest.mark.parametrize("threads", [1, 2, 10**30])
def test_a_run_uses_the_threads_it_asks_for_and_leaves_the_usual_ones(spec, threads):
    usual = torch.get_num_threads()
    computed = compute(replace(spec, threads=threads), Lab())
    used = min(threads, os.cpu_count())
    assert computed.result.threads == computed.spec.threads == used and torch.get_num_threads() == usual


def test_work_is_reported_and_can_be_cancelled(spec):
    lines = []
    compute(spec, Lab(progress=lambda share, line: lines.append((share, line))))
    assert lines[0][0] == 0 and lines[-1][0] == 1 and all(line for _, line in lines)
    with pytest.raises(Cancelled):
        compute(spec, Lab(cancelled=lambda: True))


@pytest.mark.parametrize(
    ("change", "kind", "sentence"),
    [
        ({"experiment": "mask-stabilty"}, BadInput, "did you mean mask-stability"),
        ({"params": {"lower_thresold": 1}}, ParamsError, "did you mean lower_threshold"),
        ({"image": Ref("missing.png")}, BadInput, "There is no file 'missing.png'"),
        ({"image": Ref("sample:coffee", "00" * 32)}, BadInput, "is another picture: expected SHA-256"),
        ({"model": Ref("nano-sam2", "00" * 32)}, BadInput, "is another model: expected SHA-256"),
        ({"image": None}, BadInput, "There is no picture"),
    ],
)
def test_specs_that_can_not_run_are_a_sentence(spec, change, kind, sentence):
    with pytest.raises(kind, match=sentence):
        compute(replace(spec, **change), Lab())


@pytest.fixture
def values(tmp_path):
    """Inputs of every kind, as a page has them: uploads, a sample, a film with memories, a bank."""
    upload = Picture(np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8), "upload.png")
    film = load_sample_video("coin")
    mask = np.zeros((20, 30), bool)
    mask[5:9, 5:9] = True
    bank = MemoryBank()
    priors = (Prior(upload, mask=mask), Prior(film.picture(3), POINT, 1, film_frame=3), Prior(load_sample("cell")))
    return Inputs(upload, POINT, load_sample("coffee"), film, priors, bank)


def same(a: Inputs, b: Inputs) -> bool:
    """Whether two inputs hold the same, films and banks by their content."""

    def content(value):
        return value.sha256 if isinstance(value, Video | MemoryBank) else value

    plain = [
        [content(getattr(each, name)) for name in ("image", "prompts", "image_b", "video", "bank")] for each in (a, b)
    ]
    priors = zip(a.priors, b.priors, strict=True)
    return plain[0] == plain[1] and all(
        replace(x, mask=None) == replace(y, mask=None) and np.array_equal(x.mask, y.mask) for x, y in priors
    )


def test_values_become_a_spec_and_the_spec_opens_them_again(values, folder):
    model = load_model(folder / "small.safetensors", device="cpu")
    spec = spec_of("video-priors", "small", model, values, Params(), dtype="bfloat16", attempt="x")
    assert RunSpec.from_dict(spec.to_dict()) == spec and (spec.device, spec.dtype) == ("auto", "bfloat16")
    assert [prior.picture.ref for prior in spec.priors] == ["upload.png", "sample:coin#3", "sample:cell"]
    opened = open_inputs(spec, Sources([values.image], banks=[values.bank], files=False))
    assert same(opened, values)
    with pytest.raises(BadInput, match="upload.png is no longer available"):
        open_inputs(spec, Sources(banks=[values.bank], files=False))


def test_a_film_in_two_sizes_is_two_runs_in_one_lab(folder, tmp_path):
    path = write_film_file(tmp_path / "moving.mp4", moving_frames(2))
    spec = RunSpec(
        "video-priors",
        Ref(str(folder / "small.safetensors")),
        prompts=POINT,
        image=Ref(f"{path}#0"),
        video=Ref(str(path)),
        priors=(PriorSpec(Ref(f"{path}#0"), POINT, film_frame=0),),
        device="cpu",
    )
    lab = Lab()
    whole, large, small = (compute(_at(spec, side), lab) for side in (None, 960, 48))
    assert whole.spec == large.spec, "no frame is shrunk"
    assert whole.result is large.result is not small.result and whole.spec.id != small.spec.id
    sizes = [next(iter(masks_from_json(each.result.files["masks.json"]).values())).shape for each in (whole, small)]
    assert sizes == [(64, 96), (32, 48)] and small.spec.video.side == small.spec.image.side == 48
    write(small, tmp_path / "run")
    bundle = read_bundle(tmp_path / "run")
    again = spec_of_bundle(bundle)
    assert again.video.side == 48 and same(open_inputs(again, sources_of(bundle.inputs())), small.inputs)
    assert replay(bundle, model=small.spec.model.ref).identical


def _at(spec: RunSpec, side: int | None) -> RunSpec:
    """The spec with its film and that film's frame at another size."""
    frame = replace(spec.image, side=side)
    priors = (replace(spec.priors[0], picture=frame),)
    return replace(spec, image=frame, video=replace(spec.video, side=side), priors=priors)


def test_no_model_is_loaded_from_a_path_that_a_run_names(folder):
    sources = sources_of(Inputs())
    assert sources.model(Ref("nano-sam2"), "cpu").info.name == "nano-sam2"
    with pytest.raises(CheckpointError, match="There is no model"):
        sources.model(Ref(str(folder / "small.safetensors")))


def test_a_kept_run_is_a_spec_again(spec, tmp_path):
    computed = compute(replace(spec, attempt="x"), Lab())
    write(computed, tmp_path / "run")
    bundle = read_bundle(tmp_path / "run")
    assert spec_of_bundle(bundle) == replace(computed.spec, attempt="")
    opened = open_inputs(spec_of_bundle(bundle), sources_of(bundle.inputs()))
    assert opened == computed.inputs
    (tmp_path / "run/inputs/image.png").unlink()
    partial = read_bundle(tmp_path / "run", partial=True)
    assert spec_of_bundle(partial) == replace(computed.spec, attempt="")
    with pytest.raises(BadInput, match="noise.png is no longer available: upload it again"):
        open_inputs(spec_of_bundle(partial), sources_of(partial.inputs()))


@pytest.mark.parametrize("name", sorted(set(FILES) - {"video-priors-folder-of-frames"}))
def test_a_run_of_schema_1_is_a_spec(name, tmp_path):
    bundle = old_run(name, tmp_path)
    inputs = bundle.inputs()
    spec = spec_of_bundle(bundle)
    assert same(open_inputs(spec, sources_of(inputs)), inputs)
    assert RunSpec.from_dict(spec.to_dict()) == spec and spec.params == bundle.params
    assert (spec.model.sha256, spec.threads) == (bundle.record.model.sha256, bundle.record.threads)
