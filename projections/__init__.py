"""What people read: read models, projector, rebuild, queries. All of it can be built again from the events."""
