"""Small product feeds for the tests beside this file."""

from __future__ import annotations

HEADER = "Handle,Title,Body (HTML),Vendor,Type,Tags,Option1 Name,Option1 Value,Variant SKU,Variant Grams,Variant Inventory Qty"
HEADER += ",Variant Price,Variant Compare At Price,Image Src,Cost per item"


def feed(*lines: str) -> bytes:
    """A feed of these lines under `HEADER`."""
    return "\n".join([HEADER, *lines, ""]).encode()


def line(  # the parameters are the columns
    handle: str = "mug",
    *,
    title: str = "Mug",
    body: str = "",
    tags: str = "",
    option: str = "",
    value: str = "",
    sku: str = "",
    grams: str = "",
    quantity: str = "5",
    price: str = "9.50",
    compare_at: str = "",
    image: str = "",
    cost: str = "",
) -> str:
    """One line of a feed, its cells as given: quoting is the caller's."""
    cells = [handle, title, body, "Alder & Pine", "", tags, option, value, sku, grams, quantity, price, compare_at, image, cost]
    return ",".join(cells)
