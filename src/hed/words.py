"""Words and numbers as several messages write them."""

from collections.abc import Sequence


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return the first of some names, and how many more there are."""
    rest = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{rest}"


def clock(seconds: float) -> str:
    """Return a duration as HH:MM:SS, as schedulers write it; there may be more than 24 hours."""
    total = round(seconds)
    return f"{total // 3600:02d}:{total // 60 % 60:02d}:{total % 60:02d}"
