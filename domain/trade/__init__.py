"""The trade's own words: products, prices, stock, campaigns, reviews, and the files they come in."""
