"""The safety suite: fixed prompts, and transparent rules on what an answer to each must and must not say.

Written by engineers and not clinically reviewed. Passing it shows that an answer has certain words in certain
places, never that it is right.
"""
