"""`lockgate model bom` and `lockgate release bom`."""

import click

from lockgate.cli.output import data_json
from lockgate.cli.session import Session
from lockgate.domain.digest import Digest, JsonObject


@click.command(
    "bom",
    epilog="""\b
Examples:
  lockgate model bom smollm2 > smollm2.cdx.json""",
)
@click.argument("name")
@click.pass_obj
def model_bom(session: Session, name: str) -> None:
    """Print the bill of materials of the model NAME: CycloneDX 1.7.

    From its manifest and the headers of its files. The same model has the same document anywhere.
    """
    from lockgate.app.models import layout_of
    from lockgate.oci.bom import bill_of_materials

    digest = session.models().keep(name).digest
    _print(bill_of_materials(layout_of(session.environment), digest))


@click.command(
    "bom",
    epilog="""\b
Examples:
  lockgate release bom review:stable > review.cdx.json""",
)
@click.argument("reference", metavar="RELEASE")
@click.pass_obj
def release_bom(session: Session, reference: str) -> None:
    """Print the bill of materials of RELEASE: CycloneDX 1.7, a component for each pin."""
    from lockgate.app.models import layout_of
    from lockgate.oci.bom import release_bill_of_materials

    digest = session.run(lambda: _find(session, reference))
    _print(release_bill_of_materials(layout_of(session.environment), digest))


async def _find(session: Session, reference: str) -> Digest:
    from lockgate.app.models import release_store
    from lockgate.app.release_build import find_release

    async with session.store() as state:
        return await find_release(reference, release_store(session.environment), state)


def _print(document: JsonObject) -> None:
    data_json(dict(document))
