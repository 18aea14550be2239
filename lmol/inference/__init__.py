"""A trained comparer in three lines: load it, compare two images, rank many."""
