"""Who works: agent framework, roles, reasoners. Talks to the world through the ports of domain only."""
