"""A process that attaches manifests: `writer.py STORE HOST REPOSITORY COUNT NUMBER`."""

import sys
from pathlib import Path

from lockgate.domain.artifact import EMPTY_CONFIG, MANIFEST, Descriptor, Manifest
from lockgate.domain.digest import Digest
from lockgate.oci.layout import Layout
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.repository import Repository
from lockgate.oci.registry.settings import RegistrySettings


def main() -> None:
    store, host, name, count, number = sys.argv[1:]
    layout = Layout(Path(store))
    subject = Descriptor(media_type=MANIFEST, digest=Digest.of(b"subject"), size=7)
    with Registry(host, RegistrySettings()) as registry:
        repository = Repository(registry, name, layout)
        for at in range(int(count)):
            made = Manifest(
                artifact_type="application/vnd.test",
                config=EMPTY_CONFIG,
                layers=(EMPTY_CONFIG,),
                subject=subject,
                annotations={"number": str(int(number) * int(count) + at)},
            )
            repository.referrers.push([made.encode()], layout)


if __name__ == "__main__":
    main()
