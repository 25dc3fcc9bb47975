"""The experiment pages there are: one row each, for the navigation and the cards on Home."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ExperimentPage:
    """name: the experiment's own; file: relative to Home.py."""

    name: str
    title: str
    question: str
    summary: str
    icon: str
    file: str
    families: str

    @property
    def url_path(self) -> str:
        """The file's own name: Streamlit looks for pages/ by it before the first visitor's navigation has run, so a
        link opens on a fresh server too.
        """
        return Path(self.file).stem

    @property
    def card(self) -> Path:
        """The picture on Home, made by tools/cards.py."""
        return Path(__file__).parents[1] / "parts" / "cards" / f"{self.name}.jpg"


EXPERIMENT_PAGES = (
    ExperimentPage(
        name="mask-stability",
        title="Mask stability",
        question="Which part of a mask is safe?",
        summary="See the logits behind a mask, move the cut, blur the picture, shake the prompt, and watch what stays.",
        icon=":material/contrast:",
        file="pages/mask_stability.py",
        families="SAM v1, v2, v2.1",
    ),
    ExperimentPage(
        name="cross-image",
        title="Cross-image segmentation",
        question="Does the model find the same thing in another picture?",
        summary="Prompt one picture, segment the other with the model's memory, look again, and shake the prompt.",
        icon=":material/compare:",
        file="pages/cross_image.py",
        families="SAM v2, v2.1",
    ),
    ExperimentPage(
        name="block-norms",
        title="Block norms",
        question="Are there tokens with unusually high norms?",
        summary="See every transformer block's tokens as a map, find those that stick out, and how much each block "
        "changes.",
        icon=":material/layers:",
        file="pages/block_norms.py",
        families="SAM v1, v2, v2.1",
    ),
    ExperimentPage(
        name="semantic-similarity",
        title="Semantic similarity",
        question="What else does the model take for the same thing?",
        summary="Mark one thing, compare its tokens with all others, count the regions, and give each found object a "
        "mask.",
        icon=":material/join_inner:",
        file="pages/semantic_similarity.py",
        families="SAM v1, v2, v2.1",
    ),
    ExperimentPage(
        name="window-size",
        title="Window size",
        question="Which window sizes does a model stand, and what do they cost?",
        summary="Give each stage's attention another window, compare mask, encoding and time with the default, and "
        "sweep "
        "them all.",
        icon=":material/grid_view:",
        file="pages/window_size.py",
        families="SAM v1, v2, v2.1",
    ),
    ExperimentPage(
        name="position-encoding",
        title="ViT position encoding",
        question="How does the encoder know where a token is?",
        summary="See the encoding on any grid: its channels, directions, frequencies, and what bfloat16 does to it.",
        icon=":material/grid_on:",
        file="pages/position_encoding.py",
        families="SAM v1, v2, v2.1",
    ),
    ExperimentPage(
        name="video-priors",
        title="Video with image priors",
        question="Can memories of pictures find the thing in a film?",
        summary="Record memories on pictures, run a film with them, and watch object score and area as it plays.",
        icon=":material/movie:",
        file="pages/video_priors.py",
        families="SAM v2, v2.1",
    ),
)


def experiment_page(name: str) -> ExperimentPage:
    """The row of that experiment. KeyError for a name without a page."""
    return next(page for page in EXPERIMENT_PAGES if page.name == name)
