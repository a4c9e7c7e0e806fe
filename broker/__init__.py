"""How agents talk: topics, codec, FastStream wiring, embedded Kafka, and the relay that repairs what Kafka loses."""
