#!/usr/bin/env bash
# The buffered producers of two official SDKs send one partition key to two partitions.
#
# Surprise: a buffered producer maps a partition key to a partition by itself, with the service's hash (Jenkins
# lookup3, folded to a signed 16-bit number, modulo the number of partitions). The hash is negative for half of
# the keys. JavaScript (like .NET and Java) takes the remainder truncated towards zero and its absolute value;
# Python's % floors, which gives another partition for most negative hashes. So "one vehicle, one partition, in
# order" does not hold if a fleet sends from both languages, or if events with the same key also go through
# send_batch(partition_key=...), for which the service maps the key.
# Seen with azure-eventhub 5.15.1 (Python) and @azure/event-hubs 6.0.4 (JavaScript).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check azure-eventhub==5.15.1
npm install --silent --no-audit --no-fund @azure/event-hubs@6.0.4
venv/bin/python - > python.txt <<'PYTHON'
from azure.eventhub._buffered_producer._partition_resolver import PartitionResolver

resolver = PartitionResolver(["0", "1", "2", "3"])
for number in range(1, 21):
    print(f"vehicle-{number}", resolver.get_partition_id_by_partition_key(f"vehicle-{number}"))
PYTHON
cat > map.mjs <<'JAVASCRIPT'
import { mapPartitionKeyToId } from "./node_modules/@azure/event-hubs/dist/esm/impl/partitionKeyToIdMapper.js";
for (let number = 1; number <= 20; number++) console.log(`vehicle-${number} ${mapPartitionKeyToId(`vehicle-${number}`, 4)}`);
JAVASCRIPT
node map.mjs > javascript.txt
echo "key, partition in Python, partition in JavaScript (of 4):"
paste -d ' ' python.txt <(cut -d ' ' -f 2 javascript.txt)
different=$(comm -13 <(sort python.txt) <(sort javascript.txt) | wc -l)
echo "$different of 20 keys go to different partitions"
[ "$different" -gt 0 ] && grep -q '^vehicle-7 3$' python.txt && grep -q '^vehicle-7 1$' javascript.txt
