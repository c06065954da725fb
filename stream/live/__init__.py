"""The live worker: the owners of partitions in a Faust app, over Kafka. The only room that knows of Faust."""
