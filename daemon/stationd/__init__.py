"""A flight recorder for the Docker and LXC containers of one host."""

__version__ = "0.1.0"
