"""The room of notebook 01: how well ReLU nets draw x²."""
