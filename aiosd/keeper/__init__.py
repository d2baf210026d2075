"""The keeper of bytes: between the models domain and the disk, with a process of its own for whatever takes long."""
