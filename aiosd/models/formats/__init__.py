"""What the files of a model say of themselves; one file a format, each reading what nobody vouches for."""
