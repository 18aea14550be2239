import numpy as np
import pytest

from lmol.errors import DataError
from lmol.ranking.connectivity import require_connected


def test_a_chain_of_comparisons_connects_in_either_direction() -> None:
    require_connected(["a", "b", "c"], np.array([1, 1]), np.array([0, 2]))


def test_the_message_names_every_component_the_smallest_first() -> None:
    """f is isolated, b beats e, and a, c, d, g are a star."""
    first, second = np.array([1, 0, 0, 0]), np.array([4, 2, 3, 6])
    with pytest.raises(DataError) as raised:
        require_connected(list("abcdefg"), first, second)
    assert str(raised.value) == (
        "ranking.pairing: got comparisons in 3 separate components, "
        "1 image (f); 2 images (b, e); 4 images (a, c, d, ...); "
        "expected comparisons that connect all 7 images.\n"
        "  -> raise ranking.pairs_per_image, or ask every pair with ranking.pairing=all"
    )


def test_the_smallest_component_is_named_in_full_up_to_a_few_names() -> None:
    """Two chains of 5 and of 6 images."""
    first = np.array([0, 1, 2, 3, 5, 6, 7, 8, 9])
    with pytest.raises(
        DataError, match=r"5 images \(a, b, c, d, e\); 6 images \(f, g, h, \.\.\.\)"
    ):
        require_connected(list("abcdefghijk"), first, first + 1)


def test_many_components_are_counted_and_a_few_described() -> None:
    nothing = np.array([], dtype=np.int64)
    with pytest.raises(DataError, match=r"in 9 separate .* 1 image \(d\); 5 more; expected"):
        require_connected(list("abcdefghi"), nothing, nothing)
