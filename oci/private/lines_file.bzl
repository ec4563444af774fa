"""A list of strings in a BUILD file, as a file."""

_LONGEST_TAG = 128

def _lines_file_impl(ctx):
    for line in ctx.attr.lines:
        if "\n" in line or "\r" in line:
            fail("{} has a line break, and goes into a file of lines".format(repr(line)))
        if ctx.attr.are_tags:
            _check_tag(line)
    output = ctx.actions.declare_file(ctx.label.name + ".txt")
    ctx.actions.write(output, "".join([line + "\n" for line in ctx.attr.lines]))
    return DefaultInfo(files = depset([output]))

def _check_tag(tag):
    """Refuses what no build status can make a tag of."""
    rest = tag.split("{{")
    for part in rest[1:]:
        key, closed, _ = part.partition("}}")
        if not closed or not key or [letter for letter in key.elems() if not (letter.isalnum() or letter == "_")]:
            fail("tag {} is malformed: a value of the build's status is {{{{KEY}}}}".format(repr(tag)))
    literal = rest[0] + "".join([part.partition("}}")[2] for part in rest[1:]])
    letters = [letter for letter in literal.elems() if not (letter.isalnum() or letter in "_.-")]
    if letters:
        fail("tag {} is malformed: it has {}; a tag has letters, digits, _, . and -".format(repr(tag), repr(letters[0])))
    if not tag or tag[0] in ".-":
        fail("tag {} is malformed: a tag begins with a letter, a digit or _".format(repr(tag)))
    if len(literal) > _LONGEST_TAG:
        fail("tag {} is malformed: a tag has at most {} letters".format(repr(tag), _LONGEST_TAG))

lines_file = rule(
    doc = "Writes strings into a file, one a line.",
    implementation = _lines_file_impl,
    attrs = {
        "are_tags": attr.bool(doc = "Whether they are tags, with or without `{{KEY}}`."),
        "lines": attr.string_list(doc = "The lines.", mandatory = True),
    },
)
