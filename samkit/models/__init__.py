"""Segment Anything models in torch: SAM v1 (ViT), v2 and v2.1 (Hiera) and v3 (rotary ViT). Knows torch, numpy and
Pillow, and nothing of screens or stores.

sam            the public face: load_model, SamModel
encoding       what it returns: ImageEncoding, MaskPrediction, TrackedFrame
memory_bank    what is remembered while an object is followed; track: remembering and following, frame by frame
config         which model a state dict is of; sam_network: all its modules put together
geometry       how a picture is fitted to the encoder, and back
network/       the modules themselves; files/: checkpoints on disk
threads        with how many threads torch computes
"""
