"""How the window writes numbers. No pygame here."""

from __future__ import annotations

_TINY = 1e-9  # below this a number is what rounding left of 0


def short(number: float) -> str:
    """A number in few characters; what rounding left of 0 is 0.

    Example:
        >>> short(-5e-12), short(0.25), short(12345.0), short(float("nan"))
        ('0', '0.25', '1.2e+04', 'nan')
    """
    if abs(number) < _TINY:
        return "0"
    if abs(number) >= 10_000 or abs(number) < 0.001:
        return f"{number:.1e}"
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def in_pairs(numbers: dict[str, float]) -> list[str]:
    """Numbers by their names, two a line: counts whole, others short.

    Example:
        >>> in_pairs({"train/loss": 0.5, "approx_kl": 0.0012345, "policy_loss": -8.7e-17, "n_updates": 12345.0})
        ['loss 0.5   approx_kl 0.00123', 'policy_loss 0   n_updates 12,345']
    """
    words = [
        f"{name.removeprefix('train/')} {f'{value:,.0f}' if value.is_integer() else short(value)}"
        for name, value in numbers.items()
    ]
    return ["   ".join(words[at : at + 2]) for at in range(0, len(words), 2)]
