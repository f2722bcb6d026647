"""Tables for people and for machines; import the module of the form that is wanted."""
