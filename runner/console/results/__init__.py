"""What commands print when they end."""
