#!/usr/bin/env bash
# Python's Event Hubs SDK writes a decimal into an event that it then cannot read.
#
# Surprise: AMQP 1.0 has decimal128, the SDK takes a decimal.Decimal as an application property and encodes it,
# and its own decoder raises decimal.Overflow for those bytes: it takes the exponent from the wrong place, so that
# even zero comes back as 0E+6111. The error comes from the middle of a frame, so a consumer does not get
# the event and reopens its link before it, for ever: one sender stops the partition for every consumer in Python.
# Seen with azure-eventhub 5.15.1. Only the SDK's encoder and decoder run here, without a hub.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check azure-eventhub==5.15.1
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from decimal import Decimal, Overflow

import azure.eventhub
from azure.eventhub._pyamqp._decode import decode_payload
from azure.eventhub._pyamqp._encode import encode_payload
from azure.eventhub._pyamqp.message import Message

print("azure-eventhub", azure.eventhub.__version__)
failed = []
for value in (1, Decimal("1.5"), Decimal(0), Decimal("12345678")):
    encoded = encode_payload(bytearray(), Message(application_properties={"price": value}, data=[b"x"]))
    try:
        read = decode_payload(memoryview(bytes(encoded))).application_properties
    except Overflow as error:
        read = f"decimal.Overflow: {error}"
        failed.append(value)
    print(f"{value!r:24} -> {read}")
sys.exit(failed != [Decimal("1.5"), Decimal("12345678")])
PYTHON
