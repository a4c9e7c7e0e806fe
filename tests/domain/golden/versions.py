"""An event that has changed twice, as tests of upcasting need one: no event of the program has changed yet.

Version 1 held a price as a float, version 2 as decimal text, version 3 names its currency.
"""

from __future__ import annotations

from typing import Any, ClassVar

from domain.event import Event


class Priced(Event, frozen=True):
    TOPIC = "test.Priced"
    class_version: ClassVar[int] = 3
    amount: str
    currency: str

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        state["amount"] = f"{state.pop('price'):.2f}"

    @staticmethod
    def upcast_v2_v3(state: dict[str, Any]) -> None:
        state["currency"] = "USD"


PRICED = Priced(at_ms=1, amount="12.90", currency="USD")
PRICED_V1 = b'{"price":12.9,"at_ms":1}'
PRICED_V2 = b'{"class_version":2,"amount":"12.90","at_ms":1}'
PRICED_V3 = b'{"class_version":3,"amount":"12.90","currency":"USD","at_ms":1}'
