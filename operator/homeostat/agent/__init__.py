"""The fault agent: a process beside a target, which holds one fault up for as long as it lives and is renewed.

It needs nothing but the standard library and the words that it shares with the operator, so that it is there at once.
"""
