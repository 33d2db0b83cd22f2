"""The only importer of the database driver: connections, migrations, and one typed function per verb and read."""
