"""Base, projector, adapters, prompt, checkpoints: the only user of PEFT and bitsandbytes."""
