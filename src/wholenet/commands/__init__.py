"""The commands, each a function whose parser is made from its signature; what it answers is printed beside it.

What is slow is imported inside the functions, once the words are known to be good.
"""
