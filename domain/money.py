"""Money is a decimal amount with a currency; floats never touch it."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec

_CENT = Decimal("0.01")


class Money(msgspec.Struct, frozen=True, order=False):
    """An amount in a currency (ISO 4217 code). The amount keeps two decimal places."""

    amount: Decimal
    currency: str

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount - other.amount, self.currency)

    def times(self, factor: Decimal | int) -> Money:
        """The amount multiplied and rounded half up to cents."""
        return Money(cents(self.amount * factor), self.currency)

    def __str__(self) -> str:
        return f"{self.amount:.2f} {self.currency}"

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(self.currency, other.currency)


class CurrencyMismatch(Exception):
    """Two amounts of different currencies were added or compared: a programming error, there are no exchange rates here."""


def cents(amount: Decimal) -> Decimal:
    """Round half up to two places, as price tags do."""
    return amount.quantize(_CENT, rounding=ROUND_HALF_UP)
