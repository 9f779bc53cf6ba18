#!/usr/bin/env python3
"""Create the blob container of the checkpoints in the account that FLEETPRICE_CHECKPOINTS names."""

import os
import sys

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient

with BlobServiceClient.from_connection_string(os.environ["FLEETPRICE_CHECKPOINTS"]) as account:
    try:
        account.create_container(sys.argv[1])
    except ResourceExistsError:
        sys.stdout.write(f"{sys.argv[1]} is there already\n")
