"""The health of a collection of images, before training."""
