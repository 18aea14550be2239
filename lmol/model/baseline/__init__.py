"""Baselines: models that a comparer has to beat, on the frozen features of single images."""
