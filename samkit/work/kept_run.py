"""A kept run as a spec again."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from samkit.experiments.inputs import Inputs
from samkit.media.given_masks import MaskHint
from samkit.tracking.bundle.bundle import Bundle
from samkit.work.execute import prior_spec
from samkit.work.sources import (
    LoadModel,
    Sources,
    bank_ref,
    bank_refs,
    film_ref,
    hint_spec,
    load_by_name,
    picture_ref,
    truth_ref,
)
from samkit.work.spec import HintSpec, Ref, RunSpec

if TYPE_CHECKING:
    from samkit.tracking.bundle.record import FilmEntry, HintEntry, PictureEntry


def spec_of_bundle(bundle: Bundle, inputs: Inputs | None = None) -> RunSpec:
    """What the run was made from. References have the texts of run.json, which are untrusted: open them with
    `sources_of` the inputs, where pictures, films and banks are found by content; `find_model` says where the model is.

    inputs: the bundle's, where they are read already. A picture that is missing among them is referred to as run.json
            does
    """
    record = bundle.record
    inputs = bundle.inputs() if inputs is None else inputs
    return RunSpec(
        experiment=record.experiment,
        model=Ref(record.model.ref or record.model.name, record.model.sha256, record.model.name),
        params=record.params,
        prompts=inputs.prompts,
        image=_kept_ref(record.picture, picture_ref(inputs.image, inputs.video) if inputs.image else None),
        image_b=_kept_ref(record.picture_b, picture_ref(inputs.image_b) if inputs.image_b else None),
        video=_kept_ref(record.video, film_ref(inputs.video) if inputs.video else None),
        priors=tuple(prior_spec(prior, inputs.video) for prior in inputs.priors),
        bank=bank_ref(inputs.bank) if inputs.bank is not None else None,
        mask_hint=_kept_hint(record.mask_hint, inputs.mask_hint),
        truth=_kept_ref(record.truth, truth_ref(inputs.truth) if inputs.truth else None),
        truth_b=_kept_ref(record.truth_b, truth_ref(inputs.truth_b) if inputs.truth_b else None),
        banks=bank_refs(inputs),
        steering=inputs.steering,
        device=record.device,
        dtype=record.dtype,
        threads=record.threads,
    )


def sources_of(inputs: Inputs, load_model: LoadModel = load_by_name) -> Sources:
    """Opens what refers to these inputs, samples, and models of the catalogue; no files, for a run may come from
    anybody.
    """
    pictures = (inputs.image, inputs.image_b, *(prior.picture for prior in inputs.priors))
    return Sources(
        pictures=[picture for picture in pictures if picture is not None],
        films=[inputs.video] if inputs.video is not None else [],
        banks=[bank for bank in (inputs.bank, *inputs.banks) if bank is not None],
        load_model=load_model,
        files=False,
        **given_masks(inputs),
    )


def given_masks(inputs: Inputs) -> dict[str, Any]:
    """Arguments of `Sources`: the hints and truths that are at hand."""
    hints = (inputs.mask_hint, *(prior.mask_hint for prior in inputs.priors))
    return {
        "hints": [hint for hint in hints if hint is not None],
        "truths": [truth for truth in (inputs.truth, inputs.truth_b) if truth is not None],
    }


def _kept_hint(entry: "HintEntry | None", opened: MaskHint | None) -> HintSpec | None:
    file = _kept_ref(entry, hint_spec(opened).file if opened is not None else None)
    return None if entry is None or file is None else HintSpec(entry.kind, file)


def _kept_ref(entry: "PictureEntry | FilmEntry | HintEntry | None", opened: Ref | None) -> Ref | None:
    if entry is None:
        return None
    if opened is None:
        return Ref(entry.ref or entry.name, entry.sha256, entry.name)
    return replace(opened, ref=entry.ref or opened.ref)
