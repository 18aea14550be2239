"""Connectivity of the comparisons, which one ranking of all images needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from lmol.errors import DataError
from lmol.ranking.bradley_terry import Indices

NAMED_COMPONENTS = 4
"""Components that a message describes, the smallest first."""

NAMES_IN_FULL, NAMES_OTHERWISE = 6, 3
"""Maximum number of names of the smallest component, and of each other one, in a message."""


def require_connected(names: Sequence[str], first: Indices, second: Indices) -> None:
    """Raise DataError unless a chain of comparisons leads from every image to every other.

    names: of n images. first, second: shape (P,), rows of the images compared. Strengths in two
    components have no common zero; only virtual ties would set them beside each other.
    """
    num = len(names)
    graph = sparse.coo_array((np.ones(first.size), (first, second)), shape=(num, num))
    count, component = connected_components(graph, directed=False)
    if count > 1:
        raise DataError(
            "ranking.pairing",
            got=f"comparisons in {count} separate components, {_described(names, component)}",
            expected=f"comparisons that connect all {num} images",
            remedy="raise ranking.pairs_per_image, or ask every pair with ranking.pairing=all",
        )


def _described(names: Sequence[str], component: Indices) -> str:
    in_order = np.asarray(names)[np.argsort(component, kind="stable")]
    members = np.split(in_order, np.cumsum(np.bincount(component))[:-1])
    smallest, *others = sorted((part.tolist() for part in members), key=len)
    shown = [_listed(smallest, NAMES_IN_FULL)]
    shown += [_listed(part, NAMES_OTHERWISE) for part in others[: NAMED_COMPONENTS - 1]]
    hidden = len(members) - len(shown)
    return "; ".join([*shown, f"{hidden} more"] if hidden else shown)


def _listed(names: Sequence[str], limit: int) -> str:
    """Return text such as "2 images (b.jpg, c.jpg)", with at most `limit` names."""
    more = ", ..." if len(names) > limit else ""
    return f"{len(names)} image{'s' * (len(names) > 1)} ({', '.join(names[:limit])}{more})"
