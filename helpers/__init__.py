"""Shared code of the notebooks on activation units and weight initialisation.

Importing this package downloads, trains and draws nothing. Read the modules from the ground
floor up: `activations`, `approximation`, `mnist`, `networks`, `initialization`, `gradients`,
`training`, `search`; then `plotting`, `explorers` and `checks`, which hold one module a notebook.
"""
