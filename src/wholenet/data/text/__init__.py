"""Texts: files of words, a vocabulary, and windows that are read one behind the other."""
