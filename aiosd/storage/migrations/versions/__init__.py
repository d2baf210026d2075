"""One file a version, each from the one before; a file that was released is never changed."""
