"""Tests of stationd."""
