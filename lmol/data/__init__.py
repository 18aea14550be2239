"""Images, scores, folds and pairs."""

from lmol.data import formats as formats
