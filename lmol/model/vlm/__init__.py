"""Vision-language models: all that knows LLaVA, PEFT, bitsandbytes and prompts."""
