"""One LightningModule per task, and what evaluates it."""
