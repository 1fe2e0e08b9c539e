"""A flight recorder for the Docker and LXC containers of one host."""
