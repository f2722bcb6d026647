"""Methods of Kayhan, Locality in Space and Time (2022)."""
