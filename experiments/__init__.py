"""Recipes, ablations and sweeps (Hydra groups), and the programs behind recorded numbers."""
