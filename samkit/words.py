"""Byte counts as people write them."""


def format_bytes(count: int) -> str:
    """`count` bytes with a decimal unit, as file managers and the download pages of the official models show it:
    375042383 -> "375 MB".
    """
    if count < 1000:
        return f"{count} bytes"
    size = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.5 or unit == "TB":
            break
    return f"{size:.1f} {unit}" if size < 9.95 else f"{size:.0f} {unit}"
