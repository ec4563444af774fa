"""Attributes that can be given in a BUILD file or as a file, `NAME` and `NAME_file`."""

def value_file(ctx, attribute):
    """The file of such an attribute.

    Args:
        ctx: the context of the rule.
        attribute: the attribute's name, without `_file`.

    Returns:
        A File, or None.
    """
    return getattr(ctx.file, attribute + "_file")

def value_spec(ctx, attribute):
    """Such an attribute, as the specs of actions have it.

    Args:
        ctx: the context of the rule.
        attribute: the attribute's name, without `_file`.

    Returns:
        A dict of `values` or `file`; None where neither is given.
    """
    value = getattr(ctx.attr, attribute)
    file = value_file(ctx, attribute)
    if value and file:
        fail("{0} and {0}_file are two ways to say one thing; leave one of them out".format(attribute))
    if file:
        return {"file": file.path}
    if type(value) == "dict":
        # As pairs: json.encode sorts the keys of a dict, and what $NAME stands for depends on their order.
        value = [[key, one] for key, one in value.items()]
    return {"values": value} if value else None
