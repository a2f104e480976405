"""How code becomes a program.

rebind           functions, classes and objects made anew: what they reach can be replaced, and theirs is left alone
recording_numpy  what stands in for numpy, math and float while NumPy code is recorded
complex_numpy    the same for a run on complex numbers
numpy_code       a recording of NumPy functions, called one after the other in one world
"""
