"""Networks and the segmenters built on them."""
