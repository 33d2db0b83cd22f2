"""The nouns of Tasker: frozen records, states and errors. Imports only the standard library."""
