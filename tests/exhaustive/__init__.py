"""The tests that try all there is, or much at random, and take minutes: each is one of the tests
beside this package, with a larger number."""
