"""The same blobs under the manifests of other tools: nothing is stored twice but the image view."""
