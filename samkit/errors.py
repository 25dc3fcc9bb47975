"""Every error a user can act on. `str(error)` is a sentence that says what was wrong and what to do; pages and the
command line show it as it is.
"""


class SamkitError(Exception):
    """Base of all errors raised on purpose by samkit."""


class BadInput(SamkitError):
    """What the user gave can't be used. The command line exits with 2."""


class PictureError(BadInput):
    """A picture or video file that can't be read, or is over a size cap."""


class PromptError(BadInput):
    """Points or boxes that are malformed or lie outside the picture."""


class CheckpointError(BadInput):
    """A checkpoint file that can't be read, or is not a model samkit knows."""


class EncodingError(BadInput):
    """A side, fit or window size the model can't run with."""


class ParamsError(BadInput):
    """Experiment parameters that are unknown or out of range."""


class DownloadError(SamkitError):
    """A catalogue download that failed: no network, no space, or a wrong checksum."""


class StoreError(SamkitError):
    """The tracking store can't be reached, or refused what it was given."""


class DeviceError(SamkitError):
    """A device or dtype this machine doesn't have."""


class MachineError(SamkitError):
    """What the machine refused: it ran out of memory, or something is nested too deeply."""


class Cancelled(SamkitError):
    """The person who waited for the work has cancelled it."""
