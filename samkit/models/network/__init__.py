"""The networks of SAM v1 and v2 in torch, and the parts they share. Nothing here knows files, pictures or screens."""
