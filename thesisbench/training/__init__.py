"""The deterministic, resumable fit: what every task shares when it trains."""
