"""Base, projector, adapters, prompt and checkpoints: all that knows PEFT and bitsandbytes."""

import logging

from transformers.utils.logging import disable_progress_bar, set_verbosity_error

# bitsandbytes reports at import that an optional CPU kernel package is absent; it computes the same
# without. The loaders' own bars and advice would tear our progress bar and log lines apart.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
disable_progress_bar()
set_verbosity_error()
