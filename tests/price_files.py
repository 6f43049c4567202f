"""Price files of a few models, each with one price that has been valid for long."""


def price_file(**models: str | tuple[str, str]) -> str:
    """Return the file. A model costs so much a second, or per million tokens in and out."""
    return "\n".join(_row(model, price) for model, price in models.items())


def _row(model: str, price: str | tuple[str, str]) -> str:
    head = f'[[price]]\nmodel = "{model}"\nvalid_from = 2020-01-01\n'
    if isinstance(price, str):
        return f'{head}second = "{price}"\n'
    return f'{head}input = "{price[0]}"\noutput = "{price[1]}"\n'
