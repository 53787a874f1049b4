"""What has one definition for every algorithm."""
