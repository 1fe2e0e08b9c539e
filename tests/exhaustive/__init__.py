"""The tests that try all there is, or much at random, and take minutes. Most are tests beside this
package with a larger number."""
