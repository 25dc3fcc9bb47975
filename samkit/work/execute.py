"""Running a spec: references are opened, the experiment runs in its lab, and what comes out is written as a bundle."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.params import PlainParams, build_params
from samkit.experiments.registry import find_experiment
from samkit.experiments.result import Result
from samkit.media.rle import mask_to_rle, rle_to_mask
from samkit.tracking.bundle.bundle import Bundle, write_bundle
from samkit.work.run_name import usual_name
from samkit.work.sources import Sources, bank_ref, film_ref, model_ref, picture_ref
from samkit.work.spec import PriorSpec, Ref, RunSpec

if TYPE_CHECKING:
    from samkit.media.films import Video
    from samkit.media.pictures import Picture
    from samkit.models.memory_bank import MemoryBank
    from samkit.models.sam import SamModel
    from samkit.work.lab import Lab


class OpensPictures(Protocol):
    """What finds a picture by a reference, such as `Sources`."""

    def picture(self, ref: Ref) -> "Picture": ...


@dataclass(frozen=True)
class Computed:
    """A run that was computed and is not written yet.

    spec: what was run, with every SHA-256 and all parameters filled in, and the threads that torch computed with. Its
          device is the one asked for; `model.device` is the one that computed
    """

    spec: RunSpec
    model: "SamModel"
    inputs: Inputs
    result: Result[PlainParams]


def spec_of(
    experiment: str,
    model_text: str,
    model: "SamModel",
    inputs: Inputs,
    params: PlainParams,
    *,
    device: str = "auto",
    dtype: str = "float32",
    attempt: str = "",
) -> RunSpec:
    """The spec of a run on values that are at hand.

    model_text: the catalogue name or path that the model was loaded by; device: as it was asked for
    """
    return RunSpec(
        experiment=experiment,
        model=model_ref(model_text, model),
        params=params.model_dump(mode="json"),
        prompts=inputs.prompts,
        image=picture_ref(inputs.image, inputs.video) if inputs.image is not None else None,
        image_b=picture_ref(inputs.image_b) if inputs.image_b is not None else None,
        video=film_ref(inputs.video) if inputs.video is not None else None,
        priors=tuple(prior_spec(prior, inputs.video) for prior in inputs.priors),
        bank=bank_ref(inputs.bank) if inputs.bank is not None else None,
        device=device,
        dtype=dtype,
        attempt=attempt,
    )


def compute(spec: RunSpec, lab: "Lab") -> Computed:
    """Run what the spec asks for. The lab recalls the whole result where the same was run in it before.

    Raises BadInput with a sentence for what can't be opened or run, DeviceError, and Cancelled.
    """
    import torch

    from samkit.models.threads import own_threads

    experiment = find_experiment(spec.experiment)
    params = build_params(experiment.Params, spec.params)
    inputs = open_inputs(spec, lab.sources)
    model = lab.sources.model(spec.model, spec.device, spec.dtype)
    spec = replace(_looked_at(spec, inputs), experiment=experiment.NAME, params=params.model_dump(mode="json"))
    spec = replace(spec, model=model_ref(spec.model.ref, model))
    with own_threads(spec.threads) if spec.threads else nullcontext():
        spec = replace(spec, threads=torch.get_num_threads())
        result = lab.recall(run_experiment, replace(spec, attempt=""), model, inputs, lab)
    return Computed(spec, model, inputs, result)


def run_experiment(spec: RunSpec, model: "SamModel", inputs: Inputs, lab: "Lab") -> Result[PlainParams]:
    """The experiment itself, on values that are at hand."""
    experiment = find_experiment(spec.experiment)
    return experiment.run(model, inputs, build_params(experiment.Params, spec.params), lab)


def write(
    computed: Computed,
    folder: Path | str,
    *,
    name: str = "",
    note: str = "",
    extra_files: Mapping[str, bytes] | None = None,
) -> Bundle:
    """Write the run into `folder`, which must not exist or be empty. Its `run_uuid` is the spec's id.

    name: "" for the usual one, by what tells the run from others
    """
    spec = computed.spec
    refs = {"model": spec.model, "picture": spec.image, "picture_b": spec.image_b, "video": spec.video}
    return write_bundle(
        folder,
        result=computed.result,
        inputs=computed.inputs,
        model_info=computed.model.info,
        device=computed.model.device,
        dtype=computed.model.dtype,
        name=name or usual_name(spec),
        note=note,
        extra_files=extra_files,
        run_uuid=spec.id,
        refs={entry: ref.ref for entry, ref in refs.items() if ref is not None},
    )


def execute(
    spec: RunSpec,
    lab: "Lab",
    folder: Path | str,
    *,
    name: str = "",
    note: str = "",
    extra_files: Mapping[str, bytes] | None = None,
) -> Bundle:
    """`compute` and `write`."""
    return write(compute(spec, lab), folder, name=name, note=note, extra_files=extra_files)


def open_inputs(spec: RunSpec, sources: Sources) -> Inputs:
    """The values that the spec refers to."""
    video = sources.film(spec.video) if spec.video else None
    bank = sources.bank(spec.bank) if spec.bank else None
    return Inputs(
        image=sources.picture(spec.image) if spec.image else None,
        prompts=spec.prompts,
        image_b=sources.picture(spec.image_b) if spec.image_b else None,
        video=video,
        priors=tuple(open_prior(prior, sources) for prior in spec.priors),
        bank=bank,
    )


def _looked_at(spec: RunSpec, inputs: Inputs) -> RunSpec:
    """The spec with the SHA-256 and the name of everything that it refers to, but for the model; and with a side only
    where the film is shrunk.
    """
    side = inputs.video.shrunk_side if inputs.video is not None else None

    def looked_at(ref: Ref, opened: "Picture | Video | MemoryBank | None") -> Ref:
        if opened is None:
            return ref
        name = getattr(opened, "name", ref.name)
        return replace(ref, sha256=opened.sha256, name=name, side=None if ref.side is None else side)

    priors = (
        replace(prior, picture=looked_at(prior.picture, opened.picture))
        for prior, opened in zip(spec.priors, inputs.priors, strict=True)
    )
    return replace(
        spec,
        image=spec.image and looked_at(spec.image, inputs.image),
        image_b=spec.image_b and looked_at(spec.image_b, inputs.image_b),
        video=spec.video and looked_at(spec.video, inputs.video),
        priors=tuple(priors),
        bank=spec.bank and looked_at(spec.bank, inputs.bank),
    )


def prior_spec(prior: Prior, film: "Video | None" = None) -> PriorSpec:
    """The spec of a marked picture that is at hand. film: the run's."""
    return PriorSpec(
        picture_ref(prior.picture, film),
        prior.prompts,
        prior.mask_index,
        None if prior.mask is None else mask_to_rle(prior.mask),
        prior.film_frame,
    )


def open_prior(prior: PriorSpec, sources: OpensPictures) -> Prior:
    """The marked picture that the spec refers to. Raises BadInput where that can't be opened."""
    return Prior(
        sources.picture(prior.picture),
        prior.prompts,
        prior.mask_index,
        None if prior.mask is None else rle_to_mask(prior.mask),
        prior.film_frame,
    )
