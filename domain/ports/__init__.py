"""What one room needs of another, as small protocols named for the need."""
