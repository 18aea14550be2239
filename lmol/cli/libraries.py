"""What the command, and not an import, changes about the logging of other libraries."""

from __future__ import annotations

import logging


def quiet_libraries(*, loaders: bool) -> None:
    """Silence what would tear our progress bar and our log lines.

    bitsandbytes reports at its import that an optional CPU kernel package is absent; it computes
    the same without. loaders: also the bars and the advice of transformers, which is imported.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    if loaders:
        from transformers.utils.logging import disable_progress_bar, set_verbosity_error

        disable_progress_bar()
        set_verbosity_error()
