"""The program that makes the tiny base model."""
