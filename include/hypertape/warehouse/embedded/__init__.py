"""The embedded PostgreSQL server: `server.EmbeddedServer` is what others use, the other modules are its parts."""
