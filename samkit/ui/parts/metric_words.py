"""What a metric, a time or a fact of a run is called on a page: a person's words, with the unit. Files, MLflow and CSV
keep the raw names.
"""

import re

_WORDS = {
    "mask_on": "mask measured on",
    "area_px": "area, px",
    "area_share": "area share",
    "mean_area_share": "mean area share",
    "present_share": "frames with the object, share",
    "object_score": "object score, logit",
    "mean_object_score": "mean object score, logit",
    "predicted_iou": "predicted IoU",
    "mean_predicted_iou": "mean predicted IoU",
    "stability_score": "stability score",
    "threshold_iou": "IoU of the two cuts",
    "iou_unscaled": "IoU with the unscaled picture's mask",
    "refine_iou": "IoU before and after refining edges",
    "repeat_iou": "IoU of the first and the last pass",
    "jitter_iou": "IoU when the prompt moves",
    "jitter_pairwise_iou": "IoU of moved prompts with each other",
    "jitter_found": "found when the prompt moves, share",
    "point_box_iou": "IoU of point and box",
    "predicted_iou_error": "predicted IoU error, absolute",
    "true_iou": "true IoU",
    "true_iou_best": "true IoU of the best mask",
    "true_boundary_f_measure": "true boundary F-measure",
    "iou_default": "IoU with the usual windows' mask",
    "iou_other": "IoU with the other model's mask",
    "iou_readings": "IoU of both ways to read windows",
    "drift": "relative distance of the tokens",
    "largest_block_drift": "largest relative distance of a block",
    "changed_share": "changed weights, share",
    "weight_change": "relative change of the weights",
    "max_norm": "largest norm of a token",
    "outliers": "outlying tokens",
    "outlier_blocks": "blocks with outlying tokens",
    "last_max_over_median": "largest over median norm, last block",
    "mean_norm": "mean norm",
    "frequency": "frequency, cycles per picture",
    "mean_frequency": "mean frequency, cycles per picture",
    "largest_similarity": "largest similarity, cosine",
    "mean_similarity": "mean similarity, cosine",
    "similar_share": "similar tokens, share",
    "regions": "similar regions",
    "objects": "objects found",
    "objects_merged": "masks merged into others",
    "objects_dropped": "masks dropped as unstable",
    "true_with_region": "true objects with a region",
    "true_with_mask": "true objects with a mask",
    "marks": "marks on frames",
    "mask_index": "mask index, from 0",
    "tracked_index": "found mask's index, from 0",
}
_COUNTED = {"mask_index": "mask", "tracked_index": "found mask"}
_KINDS = {"prior_": "memory", "correction_": "mark"}
_SPELLING = {"iou": "IoU", "ms": "ms", "px": "px", "f": "F", "sha256": "SHA-256"}


def metric_words(name: str) -> str:
    """Such as "predicted IoU, mask 2" for `predicted_iou_1` and "encode, ms" for `encode_ms`; objects are counted
    from 1, as on the page, which the raw names count from 0. A name that is not known
    without its underscores.
    """
    if name in _WORDS:
        return _WORDS[name]
    if found := re.fullmatch(r"object_(\d+)_(.+)", name):
        return f"{metric_words(found[2])}, object {int(found[1]) + 1}"
    if (found := re.fullmatch(r"(.+)_([0-3])", name)) and found[1] in _WORDS:
        return f"{_WORDS[found[1]]}, mask {int(found[2]) + 1}"
    if found := re.fullmatch(r"stability_at_([\d.]+)(?:_about_(-?[\d.]+))?(?:_mask_([0-3]))?", name):
        about = f" about {found[2]}" if found[2] else ""
        return f"stability at ±{found[1]}{about}" + (f", mask {int(found[3]) + 1}" if found[3] else "")
    if name.startswith("prompted_"):
        return f"{metric_words(name.removeprefix('prompted_'))}, prompted picture"
    text = name.removesuffix("_ms").replace("_", " ") + (", ms" if name.endswith("_ms") else "")
    return " ".join(_SPELLING.get(word, word) for word in text.split(" "))


def fact_words(name: str) -> str:
    """A fact's name, for the value that `fact_text` gives."""
    return _COUNTED.get(name, metric_words(name))


def fact_text(name: str, value: object) -> str:
    """A fact's value; a mask's number as a person counts it."""
    return str(int(str(value)) + 1) if name in _COUNTED and str(value).isdecimal() else str(value)


def mask_name_words(name: str) -> str:
    """A kept mask's name; of the four masks also the name of its file, which counts from 0."""
    found = re.fullmatch(r"mask_((?:[a-z_]+_)?)([0-3])", name)
    if found is None:
        return name.removeprefix("mask_").replace("_", " ")
    kind = _KINDS.get(found[1], f"{found[1].replace('_', ' ')}mask")
    return f"{kind} {int(found[2]) + 1} (file {name})"
