"""Checkpoints on disk. All errors here are sentences that say what is wrong with a file and what to do.

folders          where checkpoints lie: the package, the cache of downloads, the user's own folders
catalogue        the embedded and the official ones by name; from a name to a file
download         fetching an official one: resumable, verified, by one process at a time
checkpoint_file  what a file is, before anything in it is loaded
tables           where in the file each weight lies, by its table of contents
pickle_machine   what a pickle says, without running anything in it
stored_weights   what tables say of a weight, and whether that can be true
reference        what a reference chooses of a file: FILE#ema, FILE#base=sam_vit_b
locate           which files a path stands for: one, those of an index, what lies in a folder
parts            the dicts of weights in a file; key_layout: prefixes, other layouts and names
transformers_keys  transformers' names and the official ones
foreign          what a file is that can't be loaded; told: what was done to one that can
beside           what config.json and a JSON of the file's name say; remembered: what the owner said
adapter          LoRA, merged into a base
glance           what a file is, without loading it; depends: all files that have a say in a model
own_bytes        the whole file as bytes of this process, with their hash
checkpoint       from a file to a state dict
metadata         what a file may say of its model
key_mismatch     how a file's weights differ from a model's, in words
hashes           SHA-256 of a file, computed once
"""
