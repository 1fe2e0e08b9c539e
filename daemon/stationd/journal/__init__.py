"""The store: segments of numbered records, and nothing about what they mean."""
