"""What stands inside the guest: its inits, its agent, its runtime's configuration."""
