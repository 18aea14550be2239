"""How the embedded base model is made."""
