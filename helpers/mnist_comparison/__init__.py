"""The room of notebook 03: MNIST, and the search for each unit's learning rate."""
