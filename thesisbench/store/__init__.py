"""The runs folder: leases, records and states, safe against kills and concurrent owners."""
