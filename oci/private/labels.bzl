"""How targets are named in messages."""

def show(label):
    """The label as people write it: the main repository's without its `@@`.

    Args:
        label: a Label.

    Returns:
        A string.
    """
    text = str(label)
    return text[2:] if text.startswith("@@//") else text
