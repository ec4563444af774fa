"""The command `windlass` as a toolchain, for whatever platform actions run on."""

TOOLCHAIN_TYPE = Label("//oci:toolchain_type")

# Not mandatory, so that a platform without one is told about in our words.
TOOLCHAINS = [config_common.toolchain_type(TOOLCHAIN_TYPE, mandatory = False)]

ToolPlatformsInfo = provider(
    doc = "For which platforms there is a `windlass`.",
    fields = {"platforms": "list of strings such as linux_amd64."},
)

TOOLCHAIN_ATTRS = {
    "_tool_platforms": attr.label(
        default = "@windlass_toolchains//:platforms",
        providers = [ToolPlatformsInfo],
    ),
}

windlass_toolchain = rule(
    doc = "An executable of `windlass`.",
    implementation = lambda ctx: platform_common.ToolchainInfo(tool = ctx.file.tool),
    attrs = {
        "tool": attr.label(
            doc = "The executable.",
            allow_single_file = True,
            cfg = "exec",
            mandatory = True,
        ),
    },
)

tool_platforms = rule(
    doc = "Lists the platforms that there is a `windlass` for.",
    implementation = lambda ctx: ToolPlatformsInfo(platforms = ctx.attr.platforms),
    attrs = {"platforms": attr.string_list(mandatory = True)},
)

def windlass_tool(ctx):
    """The `windlass` that runs where this target's actions do.

    Args:
        ctx: the context of a rule with TOOLCHAINS and TOOLCHAIN_ATTRS.

    Returns:
        A File.
    """
    toolchain = ctx.toolchains[TOOLCHAIN_TYPE]
    if not toolchain:
        fail(
            "there is no windlass for the platform that this build's actions run on; looked for: " +
            "{}. Choose another with windlass.toolchain(...) in MODULE.bazel".format(
                ", ".join(ctx.attr._tool_platforms[ToolPlatformsInfo].platforms) or "none, since this machine's own is not known",
            ),
        )
    return toolchain.tool

def link_tool(ctx, tool):
    """Makes `windlass` the executable of this target, under the target's name.

    Args:
        ctx: the context of an executable rule.
        tool: what windlass_tool() gave.

    Returns:
        A File.
    """
    name = ctx.label.name + (".exe" if tool.extension == "exe" else "")
    executable = ctx.actions.declare_file(name)
    ctx.actions.symlink(output = executable, target_file = tool, is_executable = True)
    return executable
