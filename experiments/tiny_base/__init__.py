"""The program that makes the embedded base model."""
