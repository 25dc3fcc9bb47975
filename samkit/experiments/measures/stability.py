"""What stability scores are called. The official one, of cuts 1 above and below the threshold 0, is `stability_score`
everywhere; every other is another measure and has its offset and threshold in its name, so that no two of them are
compared as one.
"""

OFFICIAL = "stability_score"
OFFICIAL_OFFSET, OFFICIAL_THRESHOLD = 1.0, 0.0


def is_official(offset: float, threshold: float = OFFICIAL_THRESHOLD) -> bool:
    """Whether a score of these cuts is the official one. In logits."""
    return (offset, threshold) == (OFFICIAL_OFFSET, OFFICIAL_THRESHOLD)


def stability_name(offset: float, threshold: float = OFFICIAL_THRESHOLD) -> str:
    """The metric's name, such as `stability_at_2` and `stability_at_2_about_0.5`, or the official one's. In logits."""
    if is_official(offset, threshold):
        return OFFICIAL
    return f"stability_at_{offset:g}" + (f"_about_{threshold:g}" if threshold != OFFICIAL_THRESHOLD else "")


def stability_label(offset: float, threshold: float = OFFICIAL_THRESHOLD) -> str:
    """The same for a person, such as "stability at ±2" or "stability score"."""
    if is_official(offset, threshold):
        return "stability score"
    return f"stability at ±{offset:g}" + (f" about {threshold:g}" if threshold != OFFICIAL_THRESHOLD else "")


def mask_stability_name(offset: float, index: int) -> str:
    """Of one of the four masks (0..3): `stability_score_1` or `stability_at_2_mask_1`."""
    name = stability_name(offset)
    return f"{name}_{index}" if name == OFFICIAL else f"{name}_mask_{index}"
