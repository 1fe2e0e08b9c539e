"""Every text that people or tools meet, in one table for each kind."""
