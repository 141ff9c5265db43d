"""The room of notebook 05: what bounds a gradient, and what keeps it in bounds."""
