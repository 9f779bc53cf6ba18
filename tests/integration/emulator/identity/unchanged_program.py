"""A program as it would run in Azure: it signs in with DefaultAzureCredential.

Its only configuration is the environment. It prints what it read back.
"""

import os
import sys

from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient
from azure.storage.filedatalake import DataLakeServiceClient

ACCOUNT = os.environ["ACCOUNT_URL"]

with DefaultAzureCredential() as credential:
    with BlobServiceClient(ACCOUNT, credential=credential) as blobs:
        blobs.get_blob_client("lake", "from/blob").upload_blob(b"written")
    with DataLakeServiceClient(ACCOUNT, credential=credential) as lake:
        file = lake.get_file_system_client("lake").get_file_client("from/blob")
        sys.stdout.write(file.download_file().readall().decode())
