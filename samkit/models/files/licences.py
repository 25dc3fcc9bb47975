"""What is to be said of the licence of files that people bring. Knows no torch."""

LICENCES = {
    "sam3": "The weights of SAM 3 stand under Meta's SAM License. Its terms are yours to read: they go with the file."
}
"""By family; of the others, the catalogue tells each file's own."""
