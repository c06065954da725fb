"""segstream: real-time customer segmentation on event streams."""

__version__ = "0.1.0"
