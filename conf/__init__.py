"""The values of every setting: Hydra config groups, installed as lmol.conf."""
