"""Errors of the storage service, with Azure's codes and messages."""

from shared.service.errors import FleetpriceError

# Data Lake's codes; `code_for_blob` translates those that differ in Blob storage.
CATALOG: dict[str, tuple[int, str]] = {
    "AppendPositionConditionNotMet": (412, "The append position condition specified was not met."),
    "AuthenticationFailed": (
        403,
        (
            "Server failed to authenticate the request. Make sure the value of the Authorization header is"
            " formed correctly including the signature."
        ),
    ),
    "AuthorizationFailure": (403, "This request is not authorized to perform this operation."),
    "AuthorizationPermissionMismatch": (
        403,
        "This request is not authorized to perform this operation using this permission.",
    ),
    "AuthorizationProtocolMismatch": (
        403,
        "This request is not authorized to perform this operation using this protocol.",
    ),
    "AuthorizationSourceIPMismatch": (
        403,
        "This request is not authorized to perform this operation using this source IP.",
    ),
    "AuthorizationServiceMismatch": (
        403,
        "This request is not authorized to perform this operation using this service.",
    ),
    "AuthorizationResourceTypeMismatch": (
        403,
        "This request is not authorized to perform this operation using this resource type.",
    ),
    "BlockCountExceedsLimit": (
        409,
        "The committed block count cannot exceed the maximum limit of 50,000 blocks.",
    ),
    "CannotVerifyCopySource": (403, "The copy source cannot be verified."),
    "ConditionNotMet": (412, "The condition specified using HTTP conditional header(s) is not met."),
    "ContainerBeingDeleted": (409, "The specified container is being deleted."),
    "Crc64Mismatch": (
        400,
        (
            "The CRC64 value specified in the request did not match with the CRC64 value calculated by the"
            " server."
        ),
    ),
    "DirectoryNotEmpty": (
        409,
        "The recursive query parameter value must be true to delete a non-empty directory.",
    ),
    "ExceedsMaxBatchRequestCount": (400, "The batch operation exceeds the maximum of 256 subrequests."),
    "FilesystemAlreadyExists": (409, "The specified filesystem already exists."),
    "FilesystemNotFound": (404, "The specified filesystem does not exist."),
    "InsufficientAccountPermissions": (403, "The account being accessed does not have the permissions."),
    "InternalError": (500, "The server encountered an internal error. Please retry the request."),
    "InvalidAuthenticationInfo": (
        401,
        (
            "Authentication information is not given in the correct format."
            " Check the value of Authorization header."
        ),
    ),
    "InvalidBlobOrBlock": (400, "The specified blob or block content is invalid."),
    "InvalidBlobType": (409, "The blob type is invalid for this operation."),
    "InvalidBlockId": (400, "The specified block ID is invalid. The block ID must be Base64-encoded."),
    "InvalidBlockList": (400, "The specified block list is invalid."),
    "InvalidFlushPosition": (
        400,
        (
            "The uploaded data is not contiguous or the position query parameter value is not equal to the"
            " length of the file after appending the uploaded data."
        ),
    ),
    "InvalidHeaderValue": (400, "The value for one of the HTTP headers is not in the correct format."),
    "InvalidInput": (400, "One of the request inputs is not valid."),
    "InvalidMetadata": (400, "The metadata specified is invalid. It has characters that are not permitted."),
    "InvalidQueryParameterValue": (
        400,
        "Value for one of the query parameters specified in the request URI is invalid.",
    ),
    "InvalidRange": (416, "The range specified is invalid for the current size of the resource."),
    "InvalidRenameSourcePath": (
        409,
        (
            "The source directory cannot be the same as the destination directory,"
            " nor can the destination be a subdirectory of the source directory."
        ),
    ),
    "InvalidResourceName": (400, "The specified resource name contains invalid characters."),
    "InvalidSourceOrDestinationResourceType": (
        409,
        "The source and destination resource type must be identical.",
    ),
    "InvalidSourceUri": (400, "The source URI is invalid."),
    "InvalidTag": (400, "One of the tags is not valid."),
    "InvalidUri": (400, "The requested URI does not represent any resource on the server."),
    "InvalidXmlNodeValue": (
        400,
        "The value provided for one of the XML nodes in the request body was not in the correct format.",
    ),
    "LeaseAlreadyPresent": (409, "There is already a lease present."),
    "LeaseIdMismatchWithBlobOperation": (
        412,
        "The lease ID specified did not match the lease ID for the resource.",
    ),
    "LeaseIdMismatchWithContainerOperation": (
        412,
        "The lease ID specified did not match the lease ID for the container.",
    ),
    "LeaseIdMismatchWithLeaseOperation": (
        409,
        "The lease ID specified did not match the lease ID for the resource.",
    ),
    "LeaseIdMissing": (412, "There is currently a lease on the resource and no lease ID was specified."),
    "LeaseIsBreakingAndCannotBeAcquired": (
        409,
        "There is already a breaking lease, and it cannot be acquired until it is broken.",
    ),
    "LeaseIsBreakingAndCannotBeChanged": (
        409,
        "The lease ID matched, but the lease is currently in breaking state and cannot be changed.",
    ),
    "LeaseIsBrokenAndCannotBeRenewed": (
        409,
        "The lease ID matched, but the lease has been broken explicitly and cannot be renewed.",
    ),
    "LeaseLost": (412, "A lease ID was specified, but the lease for the resource has expired."),
    "LeaseNotPresentWithBlobOperation": (412, "There is currently no lease on the resource."),
    "LeaseNotPresentWithContainerOperation": (412, "There is currently no lease on the container."),
    "LeaseNotPresentWithLeaseOperation": (409, "There is currently no lease on the resource."),
    "InvalidXmlDocument": (400, "XML specified is not syntactically valid."),
    "MaxBlobSizeConditionNotMet": (412, "The max blob size condition specified was not met."),
    "Md5Mismatch": (
        400,
        "The MD5 value specified in the request did not match with the MD5 value calculated by the server.",
    ),
    "MissingContentLengthHeader": (411, "The content length header was not specified."),
    "MissingRequiredHeader": (400, "An HTTP header that's mandatory for this request is not specified."),
    "MissingRequiredQueryParameter": (
        400,
        "A query parameter that's mandatory for this request is not specified.",
    ),
    "NoAuthenticationInformation": (
        401,
        (
            "Server failed to authenticate the request. Please refer to the information in the"
            " www-authenticate header."
        ),
    ),
    "NoPendingCopyOperation": (409, "There is currently no pending copy operation."),
    "NotImplemented": (501, "The requested operation is not implemented on the specified resource."),
    "OutOfRangeInput": (400, "One of the request inputs is out of range."),
    "PathAlreadyExists": (409, "The specified path already exists."),
    "PathConflict": (
        409,
        (
            "The specified path, or an element of the path, exists and its resource type is invalid for this"
            " operation."
        ),
    ),
    "PathNotFound": (404, "The specified path does not exist."),
    "PublicAccessNotPermitted": (409, "Public access is not permitted on this storage account."),
    "RenameDestinationParentPathNotFound": (
        404,
        "The parent directory of the destination path does not exist.",
    ),
    "RequestBodyTooLarge": (413, "The request body is too large and exceeds the maximum permissible limit."),
    "ResourceTypeMismatch": (409, "The specified resource type does not match."),
    "ServerBusy": (503, "The server is currently unable to receive requests. Please retry your request."),
    "SourcePathNotFound": (404, "The source path for a rename operation does not exist."),
    "UnauthorizedBlobOverwrite": (403, "This request is not authorized to perform blob overwrites."),
    "UnsupportedHeader": (400, "One of the headers specified in the request is not supported."),
    "UnsupportedHttpVerb": (405, "The resource doesn't support the specified HTTP verb."),
}

_BLOB_CODES = {
    "DirectoryNotEmpty": "DirectoryIsNotEmpty",
    "FilesystemAlreadyExists": "ContainerAlreadyExists",
    "FilesystemNotFound": "ContainerNotFound",
    "PathAlreadyExists": "BlobAlreadyExists",
    "PathNotFound": "BlobNotFound",
}
_BLOB_MESSAGES = {
    "FilesystemAlreadyExists": "The specified container already exists.",
    "FilesystemNotFound": "The specified container does not exist.",
    "PathAlreadyExists": "The specified blob already exists.",
    "PathNotFound": "The specified blob does not exist.",
}


class Refused(FleetpriceError):
    """An error response of the service. The refused request changed nothing."""

    def __init__(self, code: str, *, status: int | None = None, detail: str = "") -> None:
        known_status, message = CATALOG.get(code, (500, code))
        super().__init__(f"{code}: {detail or message}")
        self.code = code
        self.status = status or known_status
        self.message = message
        self.detail = ascii(detail)[1:-1]  # it may quote the client, and goes into XML and JSON

    def code_for_blob(self) -> str:
        return _BLOB_CODES.get(self.code, self.code)

    def message_for_blob(self) -> str:
        return _BLOB_MESSAGES.get(self.code, self.message)
