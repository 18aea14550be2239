"""Vision-language models: the only package that uses LLaVA, PEFT, bitsandbytes and prompts."""
