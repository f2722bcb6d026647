"""The files of real data sets: what to fetch, from where, and whether all of it is there."""
