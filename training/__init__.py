"""How the embedded checkpoints are made: data to cache to training to file, and the figures on their cards.

See README.md.
"""
