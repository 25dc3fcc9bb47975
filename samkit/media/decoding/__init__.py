"""The program that decodes a film, in a process of its own: `python -m samkit.media.decoding`.

Files of films come from anybody, and decoders are written in C. So they run where nothing is lost with them: this
process knows one film, may take so much memory and time and no more files, and may die. What it answers is data, and
`samkit.media.film_process` checks it. Nothing of samkit is imported here but this package, so that it starts quickly.
"""
