"""The command `windlass` as a target that can be run."""

load(":toolchain.bzl", "TOOLCHAINS", "TOOLCHAIN_ATTRS", "link_tool", "windlass_tool")

def _windlass_binary_impl(ctx):
    executable = link_tool(ctx, windlass_tool(ctx))
    return DefaultInfo(
        executable = executable,
        files = depset([executable]),
        runfiles = ctx.runfiles(files = [executable]),
    )

windlass_binary = rule(
    doc = "The command `windlass` of the toolchain, to run or to use as a tool.",
    implementation = _windlass_binary_impl,
    attrs = TOOLCHAIN_ATTRS,
    executable = True,
    toolchains = TOOLCHAINS,
)
