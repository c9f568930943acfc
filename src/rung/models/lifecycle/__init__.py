"""Which models are in memory: leases, loading, eviction. One owner, one pure policy."""
