"""nftables: which ports of the host lead to which containers."""
