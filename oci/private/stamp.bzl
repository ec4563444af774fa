"""Whether a build is stamped."""

StampInfo = provider(
    doc = "Whether the build is stamped.",
    fields = {"stamp": "bool: whether `--stamp` was given."},
)

stamp_flag = rule(
    doc = "Makes the command line's `--stamp` readable for rules.",
    implementation = lambda ctx: StampInfo(stamp = ctx.attr.stamp),
    attrs = {"stamp": attr.bool(mandatory = True)},
)

STAMP_ATTRS = {
    "stamp": attr.int(
        doc = "Whether `{{KEY}}` is filled in from the status of the build: 1 always, 0 never, " +
              "-1 if the build runs with `--stamp`.",
        default = -1,
        values = [-1, 0, 1],
    ),
    "_stamp_flag": attr.label(default = "//oci/private:stamp_flag", providers = [StampInfo]),
}

def status_files(ctx):
    """The build's status files.

    Args:
        ctx: the context of a rule with STAMP_ATTRS.

    Returns:
        A list: the files of stable and volatile values; empty where the build is not stamped.
    """
    stamped = ctx.attr.stamp == 1 or (ctx.attr.stamp == -1 and ctx.attr._stamp_flag[StampInfo].stamp)
    return [ctx.info_file, ctx.version_file] if stamped else []
