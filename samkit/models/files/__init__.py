"""Checkpoints on disk. All errors here are sentences that say what is wrong with a file and what to do.

folders          where checkpoints lie: the package, the cache of downloads, the user's own folders
catalogue        the embedded and the official ones by name; from a name to a file
download         fetching an official one: resumable, verified, by one process at a time
checkpoint_file  what a file is, before anything in it is loaded
tables           where in the file each weight lies, by its table of contents
pickle_machine   what a pickle says, without running anything in it
stored_weights   what tables say of a weight, and whether that can be true
own_bytes        the whole file as bytes of this process, with their hash
checkpoint       from a file to a state dict
metadata         what a file may say of its model
key_mismatch     how a file's weights differ from a model's, in words
hashes           SHA-256 of a file, computed once
"""
