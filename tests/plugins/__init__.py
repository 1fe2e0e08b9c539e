"""Tests of the sources that come with stationd."""
