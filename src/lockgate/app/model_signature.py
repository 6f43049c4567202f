"""Signs the files of a model in the form that model-signing checks."""

from typing import TYPE_CHECKING

from lockgate.errors import Corrupt

if TYPE_CHECKING:
    from lockgate.oci.models import ModelStore
    from lockgate.signing.keys import Signer


def sign_model(store: "ModelStore", name: str, signer: "Signer") -> bytes:
    """Return the signature of a model's files, each hashed now, under the names that they have.

    Raises:
        NotFound, ModelMissing: the model is not known, or not here.
        Corrupt: one of its files is damaged.

    """
    from lockgate.signing import oms
    from lockgate.signing.attest import sign

    problems = store.verify(name).problems
    if problems:
        raise Corrupt(f"the model `{name}` is damaged: {problems[0]}", hint=store.repair(name))
    files = {file.title: file.digest for file in store.show(name).model.files}
    return sign(oms.statement(name, files), signer)
