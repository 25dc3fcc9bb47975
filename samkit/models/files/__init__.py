"""Checkpoints on disk. All errors here are sentences that say what is wrong with a file and what to do.

folders          where checkpoints lie: the package, the cache of downloads, the user's own folders
catalogue        the embedded and the official ones by name; from a name to a file
download         fetching an official one: resumable, verified, by one process at a time
checkpoint_file  what a file is, before anything in it is loaded
checkpoint       from a file to a state dict, without running anything in it
key_mismatch     how a file's weights differ from a model's, in words
hashes           SHA-256 of a file, computed once
"""
