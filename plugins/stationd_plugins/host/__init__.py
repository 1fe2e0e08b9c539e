"""What the host's kernel tells of containers: cgroups, network namespaces, processes, OOM kills."""
