"""A list of strings in a BUILD file, as a file."""

def _lines_file_impl(ctx):
    for line in ctx.attr.lines:
        if "\n" in line or "\r" in line:
            fail("{} has a line break, and goes into a file of lines".format(repr(line)))
    output = ctx.actions.declare_file(ctx.label.name + ".txt")
    ctx.actions.write(output, "".join([line + "\n" for line in ctx.attr.lines]))
    return DefaultInfo(files = depset([output]))

lines_file = rule(
    doc = "Writes strings into a file, one a line.",
    implementation = _lines_file_impl,
    attrs = {"lines": attr.string_list(doc = "The lines.", mandatory = True)},
)
