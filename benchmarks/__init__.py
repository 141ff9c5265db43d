"""Measurements that people run by hand; `make bench` runs them all."""
