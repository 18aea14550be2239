"""Base, projector, adapters, prompt and checkpoints: all that knows PEFT and bitsandbytes."""
