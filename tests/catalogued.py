"""The digests that a release pins models of the catalogue by."""

from lockgate.domain.digest import Digest
from lockgate.oci.catalogue import load_catalogue
from lockgate.oci.manifest import pack

_MODELS = load_catalogue({}).models
SMOLLM2: Digest = pack(_MODELS["smollm2"]).digest
MINILM: Digest = pack(_MODELS["minilm"]).digest
