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
from samkit.work.sources import (
    Sources,
    bank_ref,
    bank_refs,
    film_ref,
    hint_spec,
    model_ref,
    picture_ref,
    truth_ref,
)
from samkit.work.spec import HintSpec, PriorSpec, Ref, RunSpec

if TYPE_CHECKING:
    from samkit.media.films import Video
    from samkit.media.given_masks import MaskHint, Truth
    from samkit.media.pictures import Picture
    from samkit.models.memory_bank import MemoryBank
    from samkit.models.sam import SamModel
    from samkit.work.lab import Lab


class OpensPictures(Protocol):
    """What finds a picture and a mask hint on it by a reference, such as `Sources`."""

    def picture(self, ref: Ref) -> "Picture": ...

    def hint(self, spec: HintSpec, picture: "Picture") -> "MaskHint": ...


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
        mask_hint=hint_spec(inputs.mask_hint) if inputs.mask_hint is not None else None,
        truth=truth_ref(inputs.truth) if inputs.truth is not None else None,
        truth_b=truth_ref(inputs.truth_b) if inputs.truth_b is not None else None,
        banks=bank_refs(inputs),
        steering=inputs.steering,
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
    refs: dict[str, Ref | None] = {
        "model": spec.model,
        "picture": spec.image,
        "picture_b": spec.image_b,
        "video": spec.video,
        "mask_hint": spec.mask_hint.file if spec.mask_hint is not None else None,
        "truth": spec.truth,
        "truth_b": spec.truth_b,
    }
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
    image = sources.picture(spec.image) if spec.image else None
    image_b = sources.picture(spec.image_b) if spec.image_b else None
    marked = image_b if spec.params.get("prompt_on") == "b" else image
    return Inputs(
        image=image,
        prompts=spec.prompts,
        image_b=image_b,
        video=video,
        priors=tuple(open_prior(prior, sources) for prior in spec.priors),
        bank=bank,
        mask_hint=sources.hint(spec.mask_hint, marked) if spec.mask_hint and marked else None,
        truth=sources.truth(spec.truth, image) if spec.truth and image else None,
        truth_b=sources.truth(spec.truth_b, image_b) if spec.truth_b and image_b else None,
        banks=tuple(sources.bank(ref) if ref is not None else None for ref in spec.banks),
        steering=spec.steering,
    )


def _looked_at(spec: RunSpec, inputs: Inputs) -> RunSpec:
    """The spec with the SHA-256 and the name of everything that it refers to, but for the model; and with a side only
    where the film is shrunk.
    """
    side = inputs.video.shrunk_side if inputs.video is not None else None

    def looked_at(ref: Ref, opened: "Picture | Video | MemoryBank | MaskHint | Truth | None") -> Ref:
        if opened is None:
            return ref
        name = getattr(opened, "name", ref.name)
        return replace(ref, sha256=opened.sha256, name=name, side=None if ref.side is None else side)

    def hint_looked_at(spec: HintSpec | None, opened: "MaskHint | None") -> HintSpec | None:
        return spec and replace(spec, file=looked_at(spec.file, opened))

    priors = (
        replace(
            prior,
            picture=looked_at(prior.picture, opened.picture),
            mask_hint=hint_looked_at(prior.mask_hint, opened.mask_hint),
        )
        for prior, opened in zip(spec.priors, inputs.priors, strict=True)
    )
    return replace(
        spec,
        image=spec.image and looked_at(spec.image, inputs.image),
        image_b=spec.image_b and looked_at(spec.image_b, inputs.image_b),
        video=spec.video and looked_at(spec.video, inputs.video),
        priors=tuple(priors),
        bank=spec.bank and looked_at(spec.bank, inputs.bank),
        mask_hint=hint_looked_at(spec.mask_hint, inputs.mask_hint),
        truth=spec.truth and looked_at(spec.truth, inputs.truth),
        truth_b=spec.truth_b and looked_at(spec.truth_b, inputs.truth_b),
        banks=tuple(ref and looked_at(ref, bank) for ref, bank in zip(spec.banks, inputs.banks, strict=True)),
    )


def prior_spec(prior: Prior, film: "Video | None" = None) -> PriorSpec:
    """The spec of a marked picture that is at hand. film: the run's."""
    return PriorSpec(
        picture_ref(prior.picture, film),
        prior.prompts,
        prior.mask_index,
        None if prior.mask is None else mask_to_rle(prior.mask),
        prior.film_frame,
        None if prior.mask_hint is None else hint_spec(prior.mask_hint),
        prior.object,
    )


def open_prior(prior: PriorSpec, sources: OpensPictures) -> Prior:
    """The marked picture that the spec refers to. Raises BadInput where that can't be opened."""
    picture = sources.picture(prior.picture)
    return Prior(
        picture,
        prior.prompts,
        prior.mask_index,
        None if prior.mask is None else rle_to_mask(prior.mask),
        prior.film_frame,
        None if prior.mask_hint is None else sources.hint(prior.mask_hint, picture),
        prior.object,
    )
