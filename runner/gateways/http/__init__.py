"""HTTP within bounds: client, token, rate limit, retries."""
