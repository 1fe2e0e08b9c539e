"""Tests against a real Docker engine, real LXC containers, and the real daemon."""
