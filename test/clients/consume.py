"""Reads a topic to its present end with Confluent's own client and prints each
row record as one line of JSON. It knows nothing of Tributary but what FORMAT.md
says: control records have a null value, and a value begins with 0 or {."""

import json
import math
import sys

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext


def plain(v):
    """What JSON has no form for, as text."""
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, list):
        return [plain(x) for x in v]
    if isinstance(v, bytes):
        return v.hex()
    if isinstance(v, float) and not math.isfinite(v):
        return str(v)
    if v is None or isinstance(v, (bool, int, float, str)):
        return v
    return f"{type(v).__name__} {v}"


def main(brokers, registry, topic):
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "independent", "enable.auto.commit": False,
                         "auto.offset.reset": "error", "isolation.level": "read_committed"})
    first, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)
    consumer.assign([TopicPartition(topic, 0, first)])
    decode = AvroDeserializer(SchemaRegistryClient({"url": registry}))
    at, skipped = first, 0
    while at < end:
        message = consumer.poll(20)
        if message is None:
            raise SystemExit(f"nothing within 20 s at offset {at} of {end}")
        if message.error():
            raise SystemExit(message.error())
        at = message.offset() + 1
        value = message.value()
        if value is None:
            skipped += 1
            continue
        if value[:1] == b"{":
            codec, row = "json", json.loads(value)
        else:
            codec, row = "avro", decode(value, SerializationContext(topic, MessageField.VALUE))
        print(json.dumps({"codec": codec, "row": plain(row)}, ensure_ascii=False))
    print(json.dumps({"skipped": skipped}))
    consumer.close()


main(*sys.argv[1:])
