"""The room of notebook 04: where floating point ends, and how weights must start."""
