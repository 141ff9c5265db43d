"""The room of notebook 02: the units' derivatives, and gradients that vanish behind them."""
