"""How targets are named in messages and in an image's history."""

def show(label):
    """The label as people write it.

    The same for all versions of Bazel, so that an image's digest does not depend on one: they do not
    agree on the signs in the name of a repository that is not the main one.

    Args:
        label: a Label.

    Returns:
        A string.
    """
    name = label.repo_name.replace("+", "~")
    parts = [part for part in name.split("~") if part]
    repository = "@" + parts[-1] if parts else ""
    return "{}//{}:{}".format(repository, label.package, label.name)
