"""Command line tools; they import no Twisted."""
