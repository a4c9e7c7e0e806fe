"""The roles of a product launch, one file each: what a step takes, what it decides, what it gives.

A skill reads documents, calls a reasoner and names what came of it. Whatever differs between two runs of equal input (the time,
the number of the run, receipts) goes into events at most, never into a document, an output or a file.
"""
