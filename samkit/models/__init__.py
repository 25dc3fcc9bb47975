"""Segment Anything models in torch: SAM v1 (ViT) and SAM v2 and v2.1 (Hiera). Knows torch, numpy and Pillow, and
nothing of screens or stores.
"""
