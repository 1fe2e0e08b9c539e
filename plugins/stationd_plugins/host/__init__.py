"""What a running container uses: cgroup files and its network namespace."""
