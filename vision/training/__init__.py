"""From labelled CTs to weights: cases, augmentation, partial-label loss, the recipe."""
