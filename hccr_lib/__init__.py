"""HCCR Explained: how a network reads handwritten Chinese characters, and what it looks at."""

__version__ = "0.1.0"
