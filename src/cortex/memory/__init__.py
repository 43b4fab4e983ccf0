"""What is remembered: storing, finding, ageing and forgetting it."""
