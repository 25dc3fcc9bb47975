"""Windows that Hiera pools: which sizes can be run on a map."""

from samkit.errors import EncodingError
from samkit.models.network.hiera import HieraConfig
from samkit.models.network.windows import ceil_to


def check_pooling(encoder: HieraConfig, windows: tuple[int, ...], padded_size: tuple[int, int]) -> None:
    """The first block of stages 2 to 4 pools inside the windows of the stage before, so pooled windows must tile the
    pooled map. Raises `EncodingError` where they don't.
    """
    for stage, start in enumerate(encoder.stage_starts[1:], start=1):
        window = encoder.block_windows(windows)[start]
        if window == 0:
            continue
        for size in (length // (4 * 2 ** (stage - 1)) for length in padded_size):
            pooled = window // 2
            if pooled == 0 or ceil_to(size, window) // window != ceil_to(size // 2, pooled) // pooled:
                raise EncodingError(
                    f"The window size {window} of stage {stage} can't be run at this picture size: stage {stage + 1} "
                    f"begins by halving each window, and windows of {window} halved to {pooled} don't line up with its "
                    f"map of {size // 2} tokens. Make stage {stage}'s window even."
                )
