"""The Model Context Protocol edge: tools, resources and prompts over the use cases."""
