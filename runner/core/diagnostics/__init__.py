"""Problems, checks and advice as values."""
