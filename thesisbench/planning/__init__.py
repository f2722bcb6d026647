"""What a plan costs: timings of like runs, estimates that rest on them, and how both are shown."""
