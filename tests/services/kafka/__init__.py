"""Apache Kafka in tests: its jars by Maven, and a server of one node in KRaft mode."""
