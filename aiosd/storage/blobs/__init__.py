"""The bytes of models and datasets on disk: whole files and packs of chunks, named by what is in them."""
