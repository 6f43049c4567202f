from oci.registry.conftest import debian, layout, registry, repository

__all__ = ["debian", "layout", "registry", "repository"]  # fixtures
