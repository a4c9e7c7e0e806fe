"""What every agent is built on: one `execute` with lifecycle, checked data, classified errors, retries and breaker."""
