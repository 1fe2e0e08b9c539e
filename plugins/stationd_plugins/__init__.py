"""Sources and probes that the configuration can name."""
