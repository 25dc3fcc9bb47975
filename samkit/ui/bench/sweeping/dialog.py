"""*Sweep this*: values of knobs, pictures and models are chosen in a dialog that says what they come to; then the sweep
goes into the queue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from samkit.errors import BadInput, SamkitError
from samkit.experiments.inputs import Inputs
from samkit.experiments.param_info import param_info
from samkit.experiments.params import PlainParams
from samkit.experiments.registry import Entry
from samkit.media.sample_videos import SAMPLE_VIDEOS
from samkit.media.samples import SAMPLE_OBJECTS, SAMPLES
from samkit.models.files.catalogue import catalogue
from samkit.models.sam import SamModel
from samkit.prompts import Prompts
from samkit.ui.bench.page import ExperimentPage, Scene
from samkit.ui.bench.sweeping.draft import (
    AS_GIVEN,
    HOW_TO_GIVE_TRUTH,
    NO_PROMPTS,
    ON_ALL,
    TRUE_BOX,
    TRUTH_RULES,
    AtHand,
    Choices,
    Draft,
    Pace,
    Price,
    make_draft,
    price,
)
from samkit.ui.bench.sweeping.film_choices import choose_films
from samkit.ui.bench.sweeping.film_draft import FILM_RULES, HOW_TO_GIVE_FILM_TRUTH, FilmChoices, make_film_draft
from samkit.ui.bench.sweeping.own_pictures import pictures_by_hand, pictures_on_disk
from samkit.ui.bench.sweeping.proposed import propose
from samkit.ui.bench.sweeping.usual_name import usual_name
from samkit.ui.controls.dialogs import dismissed, stays_open
from samkit.ui.controls.model_names import model_name
from samkit.ui.controls.own_models import loadable_own
from samkit.ui.controls.swept_values import LEFT_OUT, is_listed, swept_params, values_field
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.page_links import SWEEP_PAGE
from samkit.ui.state.public import owner_only, present_limits
from samkit.ui.state.sweeps import app_workers, check_allowed, start_sweep
from samkit.ui.state.workspace import Workspace
from samkit.words import listed, time_text
from samkit.work.sweep.case import Case
from samkit.work.sweep.spec import Keep

NAME = "sweep_this"
SWEPT_INPUTS = {"image", "image_b", "prompts", "mask_hint", "truth", "truth_b"}
"""What experiments on a picture, on two, or on a model alone take."""
FILM_INPUTS = {"video", "priors", "bank", "banks", "steering"}
"""What those on a film take beside. A sweep marks the object on a frame; recorded memories are no part of it."""
FRAMES = (4, 30)
"""Of each sample film, frames that are offered as pictures with their truth."""
KEEP_TEXTS: dict[Keep, str] = {"metrics": "Metrics", "masks": "Metrics and masks", "all": "Whole runs"}
NOTHING_VARIES = "Nothing varies yet: choose a knob and write down its values, or more models, pictures or prompts."
MAX_FIGURES = 3
"""That are named as examples."""


def can_be_swept(entry: Entry) -> bool:
    """Whether a sweep can give the experiment all that it takes."""
    return set(entry.experiment.TAKES) <= SWEPT_INPUTS | FILM_INPUTS


@dataclass(frozen=True)
class Start:
    """What a sweep begins with: what is on the page.

    params:  where its knobs stand
    timings: of the run on the page, in milliseconds; empty where there is none yet
    figures: names of that run's metrics; empty where there is none yet
    """

    page: ExperimentPage
    work: Workspace
    model: SamModel
    inputs: Inputs
    params: PlainParams
    timings: Mapping[str, float] = field(default_factory=dict)
    figures: tuple[str, ...] = ()

    @classmethod
    def of(cls, scene: Scene) -> "Start":
        """From the run on the page."""
        result = scene.result
        return cls(
            scene.page, scene.work, scene.model, scene.inputs, result.params, result.timings, tuple(result.metrics)
        )

    @property
    def takes(self) -> tuple[str, ...]:
        return self.page.entry.experiment.TAKES


def sweep_button(scene: Start) -> None:
    """The button that opens the dialog, in the present row; nothing where the experiment can't be swept."""
    if not can_be_swept(scene.page.entry):
        return
    pressed = st.button(
        "Sweep this…",
        icon=":material/stacked_line_chart:",
        key="open_sweep",
        help="Sweep this: many values, pictures and models, one run for each",
    )
    if stays_open(scene.work, NAME, pressed):
        _dialog(scene)


@st.dialog("Sweep this", width="large", on_dismiss=dismissed)
def _dialog(scene: Start) -> None:
    # Above all choices, for what is below them may be out of sight.
    with sentences(st.container(key="sweep_trouble")):
        try:
            draft, found = _priced(scene)
        except SamkitError as error:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.button("Start", icon=":material/play_arrow:", key="start_sweep", disabled=True)
                # Whoever has gone down to the prompts does not see what stands at the top.
                st.caption(plain_text(str(error)), width="content")
            raise
        if "video" in scene.takes:
            _truth_note(draft.cases, scene.figures, HOW_TO_GIVE_FILM_TRUTH)
        elif "truth" in scene.takes:
            _truth_note(draft.cases, scene.figures, HOW_TO_GIVE_TRUTH)
        st.markdown(_price_text(found))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            pressed = st.button(
                "Start", icon=":material/play_arrow:", type="primary", key="start_sweep", disabled=found.cells < 2
            )
            if pressed:
                _start(scene, draft, found)
            _take_home(draft)
            if found.cells < 2:
                st.caption(NOTHING_VARIES, width="content")
        with st.expander("The same as YAML", icon=":material/data_object:"):
            st.caption("Save it as sweep.yaml, then: python -m samkit sweep sweep.yaml")
            st.code(draft.text, language="yaml")


def _priced(scene: Start) -> tuple[Draft, Price]:
    """What was chosen, and what it takes. Raises BadInput where something is missing, or it is too much."""
    draft = _chosen(scene)
    check_allowed(draft.spec, 0)
    found = price(draft, _pace(scene), app_workers()[0])
    check_allowed(draft.spec, found.cells)
    return draft, found


def _start(scene: Start, draft: Draft, found: Price) -> None:
    spec, cases = draft.placed()
    sweep = start_sweep(spec, cases, found.cells)
    scene.work.dialog = None
    st.switch_page(SWEEP_PAGE, query_params={"id": sweep.id})


def _chosen(scene: Start) -> Draft:
    entry, work, taken = scene.page.entry, scene.work, scene.takes
    left, right = st.columns([1.15, 1], gap="large")
    films: FilmChoices | None = None
    # The left side comes last: what is missing there leaves the right one as it is.
    with right:
        models = _models(work)
        more: dict[str, Any] = {}
        if "video" in taken:
            films, more["others"] = choose_films()
        elif scene.inputs.image_b is not None:
            more = _pair(scene)
        elif "image" in taken:
            more = _pictures(scene)
        more |= _prompts(scene, films, _has_masks(more)) if "prompts" in taken else {"takes_prompts": False}
        keep = st.segmented_control(
            "Keep of each cell",
            [kind for kind in KEEP_TEXTS if kind != "all" or not present_limits().public],
            default="masks" if "prompts" in taken else "metrics",
            format_func=KEEP_TEXTS.__getitem__,
            required=True,
            key="sweep_keep",
            help="Metrics: a line for each. Masks: also the chosen mask, a few kB. Whole runs: all files of each run.",
        )
    with left:
        params = _params(scene)
    usual = usual_name(
        entry.title,
        params,
        list(map(model_name, models)),
        _subjects(more, films),
        [] if more.get("prompts") in (None, (AS_GIVEN,)) else more["prompts"],
        "pictures" if films is None else "films",
    )
    name = right.text_input("Name", placeholder=usual, max_chars=100, key="sweep_name")
    others = more.pop("others", ())
    choices = Choices(
        entry.name,
        tuple(models),
        params,
        **more,
        keep=keep or "masks",  # type: ignore[arg-type]  # a list of these
        name=name or usual,
        device=work.device,
        dtype=work.dtype if scene.page.table.takes_picture else "float32",
        threads=app_workers()[1],
    )
    return make_draft(choices, others) if films is None else make_film_draft(choices, films, others)


def _models(work: Workspace) -> list[str]:
    refs = [each.name for each in catalogue() if each.on_disk] + loadable_own()
    refs = list(dict.fromkeys([*refs, work.model_ref]))
    models = st.multiselect("Models", refs, [work.model_ref], format_func=model_name, key="sweep_models")
    if not models:
        raise BadInput("Choose at least one model.")
    return models


def _subjects(more: dict[str, Any], films: FilmChoices | None) -> list[str]:
    """The names of the pictures, or films, that were chosen; of a pair both in one."""
    others: list[Case] = list(more.get("others", ()))
    if films is not None:
        at_hand, samples = films.at_hand and films.at_hand.film.name, films.samples
    else:
        at_hand, samples = more.get("at_hand") and more["at_hand"].picture.name, more.get("samples", ())
        if more.get("second") is not None:
            at_hand = f"{at_hand} and {more['second'].picture.name}"
        if more.get("handed") is not None:
            others += more["handed"].cases
    return [*([at_hand] if at_hand else []), *samples, *dict.fromkeys(case.where for case in others)]


def _params(scene: Start) -> dict[str, Any]:
    """What is swept, and where the page's other knobs stand."""
    params_class, present = scene.page.entry.experiment.Params, scene.params
    offered = swept_params(params_class)
    labels = {name: param_info(params_class, name).label for name in offered}
    chosen = st.multiselect(
        "Knobs",
        offered,
        format_func=lambda name: plain_text(labels[name]),
        key=f"sweep_knobs_{scene.page.name}",
        placeholder="Choose what varies",
        select_all=False,
        help="Then write down its values, such as 256, 512. Several knobs are combined in every way.",
    )
    values: dict[str, Any] = {}
    for name in chosen:
        with sentences():
            length = len(scene.model.info.window_sizes) if is_listed(params_class, name) else None
            key = f"sweep_values_{scene.page.name}_{name}"
            values[name] = values_field(params_class, name, length, key, getattr(present, name))
    if missing := [name for name in chosen if values.get(name) is None]:
        raise BadInput(f"Write down the values of {plain_text(labels[missing[0]])}.")
    if not chosen:
        st.caption("Without a knob only models, pictures and prompts differ.")
    own = present.model_dump(mode="json")
    fixed = {
        name: value
        for name, value in own.items()
        if name not in (*LEFT_OUT, *values) and value != getattr(params_class(), name)
    }
    if fixed:
        settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in fixed.items())
        st.caption(f"As on the page: {plain_text(settings)}.")
    # A list would be swept over.
    kept = {name: [value] if isinstance(value, list) else value for name, value in fixed.items()}
    return kept | values


def _pictures(scene: Start) -> dict[str, Any]:
    inputs = scene.inputs
    at_hand = AtHand(inputs.picture, inputs.prompts, inputs.truth)
    above = st.container()
    own: dict[str, Any] = {}
    trouble: BadInput | None = None
    if owner_only():
        with st.expander("Pictures of your own", icon=":material/add_photo_alternate:"):
            try:
                own["handed"] = pictures_by_hand()
                st.caption("Or, for many, where they are on this machine:")
                own["source"], own["others"] = pictures_on_disk()
            except BadInput as error:
                trouble = error
    with above:
        wanted = _page_picture(inputs, at_hand, _has_masks(own))
        samples = _samples(at_hand, wanted)
    if trouble is not None:
        raise trouble
    if not wanted and not samples and own.get("source") is None and own.get("handed") is None:
        raise BadInput("Choose at least one picture.")
    if inputs.mask_hint is not None:
        st.caption("The mask hint of the page is no part of a sweep.")
    return {"at_hand": at_hand if wanted else None, "samples": samples} | own


def _has_masks(own: Mapping[str, Any]) -> bool:
    """Whether pictures of one's own come with true masks."""
    handed, source = own.get("handed"), own.get("source")
    return any(each is not None and each.masks is not None for each in (source, handed and handed.source))


def _page_picture(inputs: Inputs, at_hand: AtHand, masked: bool) -> bool:
    """Whether the picture on the page is swept too. masked: whether others of one's own have true masks"""
    name = plain_text(inputs.picture.name)
    lacks_truth = inputs.truth is None and at_hand.sample not in SAMPLE_OBJECTS
    propose("sweep_at_hand", not (masked and lacks_truth))
    wanted = st.checkbox(f"{name}, from the page" + (", with its truth" if inputs.truth else ""), key="sweep_at_hand")
    if masked and lacks_truth and not wanted:
        st.caption(f"{name} has no true mask, and is left out: yours have them.")
    return wanted


def _samples(at_hand: AtHand, wanted: bool) -> tuple[str, ...]:
    offered = [*SAMPLES, *(f"{film}#{frame}" for film in SAMPLE_VIDEOS for frame in FRAMES)]
    samples = st.multiselect(
        "Samples",
        [name for name in offered if name != at_hand.sample or not wanted],
        format_func=_sample_text,
        key="sweep_samples",
        placeholder="More pictures",
    )
    return tuple(samples)


def _pair(scene: Start) -> dict[str, Any]:
    inputs = scene.inputs
    assert inputs.image_b is not None
    names = f"{inputs.picture.name} and {inputs.image_b.name}"
    known = [inputs.truth, inputs.truth_b].count(None)
    truths = (", with their truths", ", with the truth of one", "")[known]
    st.markdown(f"{plain_text(names)}, from the page{truths}")
    second = AtHand(inputs.image_b, Prompts(), inputs.truth_b)
    return {"at_hand": AtHand(inputs.picture, inputs.prompts, inputs.truth), "second": second}


def _sample_text(name: str) -> str:
    truth = name in SAMPLE_OBJECTS or "#" in name
    return f"{SAMPLES[name].title if name in SAMPLES else name}{' · with truth' if truth else ''}"


def _truth_note(cases: Sequence[Case], figures: Sequence[str], how: str) -> None:
    """What can be said of pictures without a true mask, and how to give one."""
    lacking = sum(case.truth is None for case in cases)
    if not lacking:
        return
    if lacking < len(cases):
        st.caption(
            f"{lacking:,} of {len(cases):,} have no true mask: they count for all figures but those that compare with "
            f"one. To give one: {how}"
        )
        return
    known = [name.replace("_", " ").replace("iou", "IoU") for name in figures if not name.endswith("_px")][:MAX_FIGURES]
    such = f", such as {listed(known)}" if known else ""
    st.info(
        f"No true masks: the sweep shows what can be measured without one{such}. To see how close masks come to the "
        f"right ones, give true masks: {how}",
        icon=":material/fact_check:",
    )


def _prompts(scene: Start, films: FilmChoices | None, masked: bool) -> dict[str, Any]:
    """films: None for pictures; masked: whether pictures of one's own come with true masks"""
    rules = TRUTH_RULES if films is None else FILM_RULES
    marked = films is None or (films.at_hand is not None and not films.at_hand.prompts.is_empty)
    of_page = Prompts()
    offered = [AS_GIVEN, *rules] if marked else list(rules)
    if films is None and scene.inputs.image_b is None:
        of_page = scene.inputs.prompts
        offered = [AS_GIVEN, *([] if of_page.is_empty else [ON_ALL]), NO_PROMPTS, *rules]
    key = "sweep_prompts" if films is None else f"sweep_film_prompts_{marked}"
    propose(key, [TRUE_BOX] if masked else offered[:1])
    prompts = st.multiselect(
        "Prompts",
        offered,
        key=key,
        help="As they are: those on the page, and the samples' own. Box, pixel and clicks follow from a true mask.",
    )
    repeats = 1
    if any(rules[name].is_random for name in prompts if name in rules):
        repeats = st.number_input(
            "Repeats", 1, 100, 3, key="sweep_repeats_drawn", help="How often prompts are moved by chance"
        )
    return {"prompts": tuple(prompts), "repeats": int(repeats), "page_prompts": of_page}


def _pace(scene: Start) -> Pace | None:
    timings = scene.timings
    if not timings:
        return None
    encode = timings.get("encode_ms", 0.0) + timings.get("default_encode_ms", 0.0)
    both = 2 if "default_encode_ms" in timings else 1
    other = sum(value for name, value in timings.items() if "encode_ms" not in name)
    side = getattr(scene.params, "side", None) or scene.model.info.native_side
    return Pace(encode / both, other, side)


def _price_text(found: Price) -> str:
    cells = f"**{found.cells:,} cell{'s' if found.cells != 1 else ''}**"
    encodings = f", {found.encodings:,} encoding{'s' if found.encodings != 1 else ''}" if found.encodings else ""
    if found.seconds is None:
        return f"{cells}{encodings}."
    return f"{cells}{encodings}, about {time_text(max(1.0, found.seconds))}, going by the run on this page."


def _take_home(draft: Draft) -> None:
    if draft.files or draft.linked:
        st.download_button(
            "Spec and files",
            draft.zipped,
            "sweep.zip",
            "application/zip",
            icon=":material/download:",
            key="sweep_yaml",
            on_click="ignore",
            help="sweep.yaml, with the files that it names",
        )
        return
    st.download_button(
        "YAML",
        draft.text,
        "sweep.yaml",
        "application/yaml",
        icon=":material/download:",
        key="sweep_yaml",
        on_click="ignore",
    )
