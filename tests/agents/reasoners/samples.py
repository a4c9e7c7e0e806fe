"""Products to reason about: a few known ones, any that hypothesis can think of, and real ones where the machine has them."""

from __future__ import annotations

import os
from datetime import date
from decimal import Decimal
from pathlib import Path

from hypothesis import strategies as st

from agents.reasoners import campaign, description, feedback, listing, pricing, stock
from agents.reasoners.results import ProductResult
from domain.trade.catalogue import Product, Review, Variant
from domain.trade.feed import read_catalogue

AS_OF = date(2026, 11, 21)

MUG = Product(
    index=0,
    handle="stoneware-mug",
    title="HANDMADE STONEWARE MUG!!!",
    body_html=(
        "<p onclick=\"steal()\">A MUG FOR SLOW MORNINGS. Holds 350 ml &amp; fits most machines.</p><script>alert('x')</script>"
        "<style>p{color:red}</style><p>Holds 350 ml &amp; fits most machines. Order at https://shop.example today.</p>"
        "<ul><li>Glazed in blue, no lead</li><li>Dishwasher safe</li></ul>"
    ),
    vendor="Kiln & Co",
    product_type="Mugs",
    tags=("Kitchen", "kitchen ", "Gift"),
    option_names=("Colour", "Size"),
    variants=(
        Variant(
            "MUG-B", 2, "MUG-B", ("Blue", "S"), Decimal("18.00"), Decimal("22.00"), Decimal("8.00"), 12, 340, "4006381333931"
        ),
        Variant(
            "MUG-W", 3, "MUG-W", ("White", "L"), Decimal("20.00"), Decimal("24.00"), Decimal("8.00"), 3, 340, "4006381333948"
        ),
    ),
    image_urls=("https://images.example.invalid/mug.jpg",),
)
BARE = Product(
    index=1,
    handle="grey-thing",
    title="",
    body_html="",
    vendor="",
    product_type="",
    tags=(),
    option_names=("Title",),
    variants=(Variant("grey-thing#1", 5, "", ("Default Title",), Decimal("5.00")),),
)

_FRAGMENTS = st.sampled_from(
    [
        "<p>", "</p>", "<li>", "</ul>", "<script>x", "</script>", "<!-- c", "-->", "<img src='a>b'>", "&amp;", "&lt;b&gt;",
        "100% cotton", "no plastic", "LOUD WORDS HERE", "Soft blue wool.", "30 x 40 cm", "Do not bleach.",
        "Größe", "日本", "🔥", " ", ". ", '"', "<",
    ]
)  # fmt: skip
_PROSE = st.one_of(st.text(max_size=80), st.lists(_FRAGMENTS, max_size=12).map("".join))
AMOUNTS = st.decimals(min_value=0, max_value=5_000, places=2)
_OPTIONS = st.sampled_from(["S", "M", "Red", "Default Title", "Large " * 20, ""])


@st.composite
def variants(draw: st.DrawFn, position: int) -> Variant:
    """Any variant a feed may hold, also one without cost, SKU or stock."""
    return Variant(
        key=f"v#{position}",
        line=position + 2,
        sku=draw(st.sampled_from(["", "A", f"S{position}"])),
        options=(draw(_OPTIONS), draw(_OPTIONS)),
        price=draw(AMOUNTS),
        compare_at=draw(st.none() | AMOUNTS),
        cost=draw(st.none() | st.sampled_from([Decimal(0), Decimal("4.10"), Decimal("20")]) | AMOUNTS),
        quantity=draw(st.integers(-5, 100)),
        grams=draw(st.integers(0, 5_000)),
        barcode=draw(st.sampled_from(["", "4006381333931"])),
    )


@st.composite
def products(draw: st.DrawFn) -> Product:
    """Any product a feed may hold, with markup and words in all the wrong places."""
    index = draw(st.integers(0, 5_000))
    return Product(
        index=index,
        handle=draw(st.sampled_from(["mug", "blue-shirt", "日本", "a" * 90])),
        title=draw(_PROSE),
        body_html=draw(_PROSE),
        vendor=draw(_PROSE),
        product_type=draw(st.one_of(st.just(""), _PROSE)),
        tags=tuple(draw(st.lists(_PROSE, max_size=6))),
        option_names=draw(st.sampled_from([("Title",), ("Size", "Color"), ()])),
        variants=tuple(draw(variants(position)) for position in range(draw(st.integers(0, 5)))),
        image_urls=draw(st.sampled_from([(), ("https://images.example.invalid/a.jpg",)])),
    )


REVIEWS = st.lists(
    st.builds(
        Review,
        row=st.integers(1, 10_000),
        handle=st.just("mug"),
        rating=st.integers(1, 5),
        title=st.text(max_size=20),
        text=st.one_of(
            st.text(max_size=60), st.sampled_from(["I love it but it runs small", "not good at all", "late delivery"])
        ),
    ),
    max_size=8,
    unique_by=lambda review: review.row,
)


def real_products() -> list[Product]:
    """The products of the feeds in `$REHYDRATE_TEST_DATA/shopify_products`; none where the machine has no such data."""
    folder = os.environ.get("REHYDRATE_TEST_DATA")
    feeds = sorted(Path(folder, "shopify_products").glob("*.csv")) if folder else []
    return [product for feed in feeds for product in read_catalogue(feed.read_bytes()).products]


def launched(product: Product, reviews: tuple[Review, ...] = (), seed: int = 0) -> ProductResult:
    """A product through all its steps."""
    listed = listing.compose(product)
    quotes = pricing.quote(product, pricing.Bounds())
    reservation = stock.reserve(product)
    return ProductResult(
        index=product.index,
        handle=product.handle,
        status="completed",
        reason="",
        product=product,
        listing=listed,
        description_html=description.write(product, listed, seed),
        quotes=quotes,
        reservation=reservation,
        posts=campaign.posts(product, listed, quotes, reservation, campaign.slots(product.index, AS_OF), seed=seed),
        feedback=feedback.summarise(reviews),
    )
