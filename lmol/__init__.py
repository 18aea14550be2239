"""LMOL: a vision-language model says which of two images is better; that makes a ranking."""

__version__ = "0.1.0"
