"""LXC: container directories and cgroups, through inotify."""
