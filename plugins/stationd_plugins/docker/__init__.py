"""Docker: the engine's event stream, through its SDK."""
