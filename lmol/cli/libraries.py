"""Log settings of other libraries, which the command changes and an import of lmol does not."""

from __future__ import annotations

import logging


def quiet_libraries(*, loaders: bool) -> None:
    """Silence output of libraries that would break our progress bar and our log lines.

    When imported, bitsandbytes reports that an optional CPU kernel package is absent; it computes
    the same without. loaders: import transformers and silence its bars and its advice too.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    if loaders:
        from transformers.utils.logging import disable_progress_bar, set_verbosity_error

        disable_progress_bar()
        set_verbosity_error()
